package limits

import (
	"time"

	"github.com/iterdns/iterdns/dnssec"
)

// Limits bounds the work that one question may cause. The fields are those of
// resolver.Limits, where each is explained, so that the one converts to the other.
type Limits struct {
	Sends, Bytes int
	Time         time.Duration

	SendsPerServer, FailedServerLookups, AddressesPerServer, Depth    int
	Aliases, Minimised, Referrals, Records                            int
	SignatureChecks, FailedSignatureChecks, SignatureCost             int
	SignaturesPerRRset, KeysPerTag, DSPerZone                         int
	NSEC3Iterations, NSEC3Hashes                                      int
	QueriesPerZone, QueriesPerServer, Questions, Sockets, Connections int
}

// None stands for a negative field: more than any question can use, with room
// to count.
const None = 1 << 30

// Fill returns the limits with their defaults in the place of zeros.
func (l Limits) Fill() Limits {
	for at := range Table {
		field := Limit(at).field(&l)
		switch {
		case field == nil:
		case *field == 0:
			*field = Table[at].value
		case *field < 0:
			*field = None
		}
	}
	switch {
	case l.Time == 0:
		l.Time = time.Duration(Table[Time].value) * time.Millisecond
	case l.Time < 0:
		l.Time = 24 * time.Hour
	}
	return l
}

// Quarter returns a quarter of a limit, at least one: the part that is open to, or closed
// to, sources that may be hostile.
func Quarter(limit int) int { return max(1, limit/4) }

// Validation returns the validator's part of limits that are filled in.
func (l *Limits) Validation() dnssec.Limits {
	return dnssec.Limits{
		SignatureChecks:    l.SignatureChecks,
		FailedChecks:       l.FailedSignatureChecks,
		CostUnits:          l.SignatureCost,
		SignaturesPerRRset: l.SignaturesPerRRset,
		KeysPerTag:         l.KeysPerTag,
		DSPerZone:          l.DSPerZone,
		NSEC3Iterations:    l.NSEC3Iterations,
		NSEC3Hashes:        l.NSEC3Hashes,
	}
}
