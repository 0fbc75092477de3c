package dnssec

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// ErrRecord says that RDATA does not have the form of its type.
var ErrRecord = errors.New("malformed RDATA")

// Flags of a DNSKEY record: RFC 4034 §2.1.1 and RFC 5011 §7.
const (
	flagSEP    = 0x0001
	flagRevoke = 0x0080
	flagZone   = 0x0100
)

// dnskeyProtocol is the only protocol of a DNSKEY record. RFC 4034 §2.1.2.
const dnskeyProtocol = 3

// Key is a DNSKEY record. RFC 4034 §2.
type Key struct {
	Flags     uint16
	Protocol  uint8
	Algorithm uint8
	PublicKey string // in the format of its algorithm
	Tag       uint16 // RFC 4034 appendix B
}

// ParseKey reads the RDATA of a DNSKEY record. It fails with ErrRecord; it does not
// look at the public key.
func ParseKey(rdata string) (Key, error) {
	if len(rdata) < 5 {
		return Key{}, fmt.Errorf("DNSKEY of %d bytes: %w", len(rdata), ErrRecord)
	}
	return Key{
		Flags:     uint16(rdata[0])<<8 | uint16(rdata[1]),
		Protocol:  rdata[2],
		Algorithm: rdata[3],
		PublicKey: rdata[4:],
		Tag:       keyTag(rdata),
	}, nil
}

// keyTag is the checksum of RFC 4034 appendix B. Algorithm 1 has one of its own
// (§B.1): 16 bits near the end of the modulus.
func keyTag(rdata string) uint16 {
	if rdata[3] == dns.RSAMD5 {
		if len(rdata) < 7 {
			return 0
		}
		return uint16(rdata[len(rdata)-3])<<8 | uint16(rdata[len(rdata)-2])
	}
	var sum uint32
	for i := 0; i < len(rdata); i++ {
		if i%2 == 0 {
			sum += uint32(rdata[i]) << 8
		} else {
			sum += uint32(rdata[i])
		}
	}
	return uint16(sum + sum>>16)
}

// IsZoneKey reports whether the key may sign zone data (RFC 4034 §2.1.1).
func (k Key) IsZoneKey() bool { return k.Flags&flagZone != 0 }

// IsSEP reports whether the key is marked as a secure entry point: a hint for
// people, without meaning for validation (RFC 4034 §2.1.1).
func (k Key) IsSEP() bool { return k.Flags&flagSEP != 0 }

// IsRevoked reports whether the key may no longer be trusted (RFC 5011 §2.1).
func (k Key) IsRevoked() bool { return k.Flags&flagRevoke != 0 }

// String shows tag, algorithm and role, for people.
func (k Key) String() string {
	s := fmt.Sprintf("key %d %s", k.Tag, AlgorithmName(k.Algorithm))
	if k.IsSEP() {
		s += " SEP"
	}
	if k.IsRevoked() {
		s += " revoked"
	}
	if !k.IsZoneKey() {
		s += " not a zone key"
	}
	return s
}

// DS is a delegation signer record. RFC 4034 §5.
type DS struct {
	KeyTag     uint16
	Algorithm  uint8
	DigestType uint8
	Digest     string
}

// ParseDS reads the RDATA of a DS record. It fails with ErrRecord; it does not
// compare the digest's length with its type.
func ParseDS(rdata string) (DS, error) {
	if len(rdata) < 5 {
		return DS{}, fmt.Errorf("DS of %d bytes: %w", len(rdata), ErrRecord)
	}
	return DS{
		KeyTag:     uint16(rdata[0])<<8 | uint16(rdata[1]),
		Algorithm:  rdata[2],
		DigestType: rdata[3],
		Digest:     rdata[4:],
	}, nil
}

// String shows tag, algorithm and digest type, for people.
func (d DS) String() string {
	return fmt.Sprintf("DS %d %s %s", d.KeyTag, AlgorithmName(d.Algorithm), DigestName(d.DigestType))
}

// Signature is an RRSIG record. RFC 4034 §3.
type Signature struct {
	TypeCovered uint16
	Algorithm   uint8
	Labels      uint8
	OriginalTTL uint32 // seconds
	Expiration  uint32 // seconds since 1970, modulo 2^32
	Inception   uint32 // likewise
	KeyTag      uint16
	Signer      Name   // the zone, canonical
	Signature   string // in the format of its algorithm
	fixed       string // the bytes before the signer's name
}

// rrsigFixed is the length of RRSIG RDATA before the signer's name.
const rrsigFixed = 18

// ParseSignature reads the RDATA of an RRSIG record. It fails with ErrRecord.
func ParseSignature(rdata string) (Signature, error) {
	if len(rdata) <= rrsigFixed {
		return Signature{}, fmt.Errorf("RRSIG of %d bytes: %w", len(rdata), ErrRecord)
	}
	signer, rest, ok := splitName(rdata[rrsigFixed:])
	if !ok || rest == "" {
		return Signature{}, fmt.Errorf("RRSIG without signer or signature: %w", ErrRecord)
	}
	b := []byte(rdata[:rrsigFixed])
	return Signature{
		TypeCovered: binary.BigEndian.Uint16(b),
		Algorithm:   b[2],
		Labels:      b[3],
		OriginalTTL: binary.BigEndian.Uint32(b[4:]),
		Expiration:  binary.BigEndian.Uint32(b[8:]),
		Inception:   binary.BigEndian.Uint32(b[12:]),
		KeyTag:      binary.BigEndian.Uint16(b[16:]),
		Signer:      signer,
		Signature:   rest,
		fixed:       rdata[:rrsigFixed],
	}, nil
}

// splitName takes an uncompressed name off the front of RDATA.
func splitName(s string) (name dnsname.Name, rest string, ok bool) {
	for i := 0; i < len(s) && i < dnsname.MaxWire; i += int(s[i]) + 1 {
		if s[i] > dnsname.MaxLabel {
			return "", "", false
		}
		if s[i] == 0 {
			return dnsname.Lower(s[:i+1]), s[i+1:], true
		}
	}
	return "", "", false
}

// AlgorithmName returns the mnemonic of a DNSSEC algorithm number, or the number.
func AlgorithmName(number uint8) string {
	if name, ok := dns.AlgorithmToString[number]; ok {
		return name
	}
	return fmt.Sprintf("ALG%d", number)
}

// DigestName returns the mnemonic of a DS digest type, or the number.
func DigestName(number uint8) string {
	if name, ok := dns.HashToString[number]; ok {
		return name
	}
	return fmt.Sprintf("DIGEST%d", number)
}

// typeName returns the mnemonic of an RR type, or TYPEn (RFC 3597 §5).
func typeName(rrtype uint16) string {
	if rrtype == dns.TypeNone || rrtype == dns.TypeReserved { // whose texts are no mnemonics
		return fmt.Sprintf("TYPE%d", rrtype)
	}
	return dns.Type(rrtype).String()
}
