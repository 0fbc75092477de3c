package cache

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

const (
	// maxFailureServers is how many servers are kept with a failure: as many as the texts of errors
	// name.
	maxFailureServers = 4
	// maxFailureReason bounds the reason, which has a part for each of those servers. With it a
	// failure takes no more than a small RRset with its signatures, however many questions fail.
	maxFailureReason = 300
)

// FailureOrigin is where a question failed, and how, for people.
type FailureOrigin struct {
	Zone    dnssec.Name      // whose servers were asked last; "": none
	Servers []netip.AddrPort // of Zone, in the order in which they were asked; of more than 4 the last are kept
	Reason  string           // the cause in words; of more than 300 bytes the first are kept
	// Clock says how far the clock is wrong that is to blame; nil: none is.
	Clock *dnssec.ClockError
}

// KeepFailure is PutFailure that keeps the origin of the failure too.
func (v *View) KeepFailure(now time.Time, name dnssec.Name, rrtype uint16, trust Trust, cause uint16, text string, o FailureOrigin) Failure {
	return v.putFailure(now, name, rrtype, trust, Failure{Cause: cause, Text: text, origin: o.packed()})
}

// Origin returns where the question failed. It is zero for a failure that PutFailure kept.
func (f Failure) Origin() (o FailureOrigin) {
	if f.origin == "" {
		return o
	}
	o.Clock = f.Clock()
	b := f.origin[1+clockSize*int(f.origin[0]):]
	n := int(b[0])
	o.Zone, b = dnsname.Name(b[1:1+n]), b[1+n:]
	count := int(b[0])
	b = b[1:]
	for range count {
		n = int(b[0])
		addr, _ := netip.AddrFromSlice([]byte(b[1 : 1+n])) // of 4 or 16 bytes
		o.Servers = append(o.Servers, netip.AddrPortFrom(addr, be16(b[1+n:])))
		b = b[3+n:]
	}
	o.Reason = b
	return o
}

// Clock returns FailureOrigin.Clock of the failure alone.
func (f Failure) Clock() *dnssec.ClockError {
	if f.origin == "" || f.origin[0] == 0 {
		return nil
	}
	return unpackClock(f.origin[1:])
}

// clockSize is how many bytes packClock appends.
const clockSize = 8 + 4 + 8 + 8 + 2

func packClock(b []byte, c *dnssec.ClockError) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(c.Clock.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(c.Clock.Nanosecond()))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Signed.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Expires.Unix()))
	return binary.BigEndian.AppendUint16(b, c.KeyTag)
}

func unpackClock(packed string) *dnssec.ClockError {
	b := []byte(packed[:clockSize])
	seconds := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
	return &dnssec.ClockError{
		Clock:  time.Unix(seconds(0), int64(binary.BigEndian.Uint32(b[8:]))).UTC(),
		Signed: time.Unix(seconds(12), 0).UTC(), Expires: time.Unix(seconds(20), 0).UTC(),
		KeyTag: binary.BigEndian.Uint16(b[28:]),
	}
}

// At returns when the question failed.
func (f Failure) At() time.Time { return f.Until.Add(-failureWait(f.Count)) }

// packed returns the origin as Origin and Clock read it.
func (o FailureOrigin) packed() string {
	if o.Zone == "" && len(o.Servers) == 0 && o.Reason == "" && o.Clock == nil {
		return ""
	}
	servers := o.Servers[max(0, len(o.Servers)-maxFailureServers):]
	b := []byte{0}
	if o.Clock != nil {
		b = packClock([]byte{1}, o.Clock)
	}
	b = append(append(b, byte(len(o.Zone))), o.Zone...)
	b = append(b, byte(len(servers)))
	for _, s := range servers {
		addr := s.Addr().AsSlice()
		b = append(append(b, byte(len(addr))), addr...)
		b = binary.BigEndian.AppendUint16(b, s.Port())
	}
	return string(append(b, o.Reason[:min(len(o.Reason), maxFailureReason)]...))
}
