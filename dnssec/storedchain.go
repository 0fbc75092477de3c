package dnssec

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/miekg/dns"
)

// StoredChain is the evidence about one question, to be kept in a file and judged by others, years
// later: what was asked and when, which servers were asked, what the resolver made of it, and the
// chain of trust. Its form holds what that of RFC 9102 does not: unsigned zones with the proof
// that they are unsigned, bogus answers, and failures without any answer.
//
// Only Chain is evidence, since it can be verified. All else is what the author says.
type StoredChain struct {
	// Name and Type are the question.
	Name Name
	Type uint16
	// Asked and Answered are when the question was asked, and when its answer or failure was
	// known.
	Asked, Answered time.Time
	// Servers are the addresses that were asked meanwhile, of all zones; none for an answer out
	// of a cache.
	Servers []netip.AddrPort
	// Status is what the resolver found. Verify finds it anew.
	Status Status
	// Failure says why there is no answer; "" if there is one.
	Failure string
	// Note is the author's, such as a decision that rests on the answer.
	Note string
	// Chain is the evidence, as Verdict.Chain returns it and VerifyChain takes it; nil if there
	// is none.
	Chain []Link
}

// What a StoredChain holds at most. The largest part that can come from the network is the answer: a
// message of up to 64 KiB.
const (
	// MaxStoredRecords is how many bytes the records of a chain take: those of 16 messages of the
	// greatest length. A chain through ten zones takes 20 KiB.
	MaxStoredRecords = 1 << 20
	// MaxStoredHeader is how many bytes all else takes.
	MaxStoredHeader = 1 << 16
	// MaxStoredText is how many bytes Failure and Note take, each. They are UTF-8.
	MaxStoredText = 4096
	// MaxStoredServers is how many Servers are kept: a question sends 100 queries
	// (DefaultSends of package resolver's Limits).
	MaxStoredServers = 128
	// MaxStoredLinks is how many links a chain has. A name of 127 labels with a zone at each has
	// 255.
	MaxStoredLinks = 512
	// MaxStoredChains is how many ReadStoredChains reads: all names above one of 127 labels, each
	// with the DS of its zone.
	MaxStoredChains = 256
)

// ErrStoredChain says that bytes are no StoredChain, that one is damaged or of a later version,
// that it holds more than its limits allow, or that its chain is not about its question.
var ErrStoredChain = errors.New("not a stored chain")

// Verify judges the chain, trusting nothing but anchors (nil: DefaultAnchors), at the time of the
// signatures; the zero time means Answered. It fails as VerifyChain does, with ErrStoredChain when
// the chain is about another question or shows another Status than the author says, and with
// ErrChain when there is no chain.
//
// Nothing proves that Answered is true: only that the signatures were valid then.
func (s *StoredChain) Verify(anchors []Anchor, at time.Time) (*Verdict, error) {
	if at.IsZero() {
		at = s.Answered
	}
	if n := len(s.Chain); n > 0 && (s.Chain[n-1].Name != s.Name || s.Chain[n-1].Type != s.Type) {
		return nil, fmt.Errorf("%w: the chain is about %v", ErrStoredChain, &s.Chain[n-1])
	}
	verdict, err := VerifyChain(s.Chain, anchors, at)
	if err == nil && verdict.Status != s.Status {
		return nil, fmt.Errorf("%w: it says %v, and the chain shows %v", ErrStoredChain, s.Status, verdict.Status)
	}
	return verdict, err
}

// Valid returns the time within which all signatures of the chain are valid: from the latest
// inception until the earliest expiration. Both are zero if there is no signature. It reads the
// fields of the signatures, and verifies none; of an RRset with several it takes each.
func (s *StoredChain) Valid() (from, until time.Time) {
	for i := range s.Chain {
		for _, set := range slices.Concat(s.Chain[i].Answer, s.Chain[i].Authority) {
			for rdata := range set.Signatures.All() {
				sig, err := ParseSignature(rdata)
				if err != nil {
					continue
				}
				// RFC 4034 §3.1.5: serial arithmetic, here about the time that is stored.
				near := s.Answered.Unix()
				if inception := nearTime(sig.Inception, near); inception.After(from) {
					from = inception
				}
				if expiration := nearTime(sig.Expiration, near); until.IsZero() || expiration.Before(until) {
					until = expiration
				}
			}
		}
	}
	return from, until
}

// nearTime returns the time that a serial number stands for, of all the one closest to near.
func nearTime(serial uint32, near int64) time.Time {
	return time.Unix(near+int64(int32(serial-uint32(near))), 0).UTC()
}

// ReadStoredChains reads the StoredChains that stand one behind the other, as AppendBinary wrote
// them. It fails with ErrStoredChain, and then returns none, also where there are more than
// MaxStoredChains, and with the error of r. It reads no more than the limits allow.
func ReadStoredChains(r io.Reader) ([]StoredChain, error) {
	const most = MaxStoredChains * (maxFrame + MaxStoredHeader + MaxStoredRecords)
	var chains []StoredChain
	limited := &io.LimitedReader{R: r, N: most}
	for {
		s, err := readStoredChain(limited)
		switch {
		case err == io.EOF && len(chains) > 0:
			return chains, nil
		case err == io.EOF:
			return nil, fmt.Errorf("%w: empty", ErrStoredChain)
		case err != nil:
			return nil, err
		case len(chains) == MaxStoredChains:
			return nil, fmt.Errorf("%w: more than %d", ErrStoredChain, MaxStoredChains)
		}
		chains = append(chains, *s)
	}
}

// String names question and status, and the failure if there is one.
func (s *StoredChain) String() string {
	text := fmt.Sprintf("%s %s %v", s.Name, typeName(s.Type), s.Status)
	if s.Failure != "" {
		text += ": " + s.Failure
	}
	return text
}

// check reports what there is too much of, and what the stored form has no place for.
func (s *StoredChain) check() error {
	switch {
	case s.Name == "":
		return errors.New("no name")
	case len(s.Failure) > MaxStoredText || len(s.Note) > MaxStoredText:
		return fmt.Errorf("a text of more than %d bytes", MaxStoredText)
	case !utf8.ValidString(s.Failure) || !utf8.ValidString(s.Note):
		return errors.New("a text that is not UTF-8")
	case s.Status > Bogus:
		return fmt.Errorf("status %d", s.Status)
	case len(s.Servers) > MaxStoredServers:
		return fmt.Errorf("%d servers, of %d at most", len(s.Servers), MaxStoredServers)
	case len(s.Chain) > MaxStoredLinks:
		return fmt.Errorf("%d links, of %d at most", len(s.Chain), MaxStoredLinks)
	}
	for i := range s.Chain {
		l := &s.Chain[i]
		if l.Name == "" || l.Kind > KindReferral {
			return fmt.Errorf("link %d: no name, or kind %d", i+1, l.Kind)
		}
		for _, set := range slices.Concat(l.Answer, l.Authority) {
			switch {
			case set.Class != dns.ClassINET:
				return fmt.Errorf("%s %s has class %d", set.Owner, typeName(set.Type), set.Class)
			case set.Owner == "" || set.Records.Len() == 0:
				return fmt.Errorf("link %d: an RRset without an owner or records", i+1)
			}
		}
	}
	return nil
}
