package cache

import (
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// note says why data is Insecure though its zone is signed: the extended DNS error that goes
// with it each time (RFC 8914), in two bits.
type note uint8

// notes are the codes of the notes. They never change, since snapshots have the notes.
var notes = [4]uint16{
	0, // there is nothing to say
	dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm, // RFC 8914 §4.2
	dns.ExtendedErrorCodeUnsupportedDSDigestType,    // RFC 8914 §4.3
	dns.ExtendedErrorCodeUnsupportedNSEC3IterValue,  // RFC 9276 §3.2
}

// noteOf returns the note of an extended DNS error; that of nothing for one that is not kept.
func noteOf(status dnssec.Status, code uint16) note {
	if i := slices.Index(notes[:], code); i > 0 && status == dnssec.Insecure {
		return note(i)
	}
	return 0
}

func (n note) code() uint16 { return notes[n] }
