package scenario

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// Signing says how a zone is signed. The zero value is an unsigned zone.
type Signing struct {
	Signed bool // word "signed", and all words below
	// Algorithms is "algorithm=13", or "algorithm=8,13" for the first generation of
	// keys and those from the second on; nil: not given.
	Algorithms []uint8
	NSEC3      bool // "nsec3", and the words below
	OptOut     bool // "opt-out": unsigned delegations have no NSEC3 record (RFC 5155 §6)
	// Iterations is "iterations=N", Salt "salt=HEX" (RFC 5155 §3.1).
	Iterations uint16
	Salt       string
	// Compact is "compact": denials are made for each question (RFC 9824).
	Compact bool
	// NoDS is "no-ds": the parent has no DS of the zone.
	NoDS   bool
	Keys   KeyPlan
	Breaks []Break // "break=..."
}

// KeyPlan says which generations of a zone's keys, counted from 1, are published, sign,
// and have a DS. A nil list is the first generation.
type KeyPlan struct {
	KSK      []int // "ksk=1,2": key signing keys that are published, and sign the DNSKEY RRset
	ZSK      []int // "zsk=1,2": zone signing keys that are published
	Sign     []int // "sign=2": zone signing keys that sign everything else
	DS       []int // "ds=1,2": key signing keys that the parent has a DS of
	Combined bool  // "csk": the key signing keys are the zone signing keys too
	// Operators is "operators=2": how many sign the zone, each with keys of its own and
	// at addresses of its own (RFC 8901 §2.1.2). 0 is one.
	Operators int
	Bits      int   // "bits=2048": of RSA keys; 0: not given
	Digest    uint8 // "digest=4": the DS's; 0: not given
}

// Operator returns the plan of the nth operator of the zone, from 1; with one operator it
// is the plan itself.
func (k KeyPlan) Operator(n int) KeyPlan {
	if k.Operators < 2 {
		return k
	}
	all := make([]int, k.Operators)
	for i := range all {
		all[i] = i + 1
	}
	k.KSK, k.ZSK, k.Sign, k.DS = []int{n}, all, []int{n}, all
	return k
}

// Break is something that is wrong with how a zone is signed: "break=KIND",
// "break=KIND:TYPE" or "break=KIND:NAME/TYPE", where TYPE may be left out behind the
// slash.
type Break struct {
	Kind BreakKind
	Name string // relative to the zone, or "@"; "": all names
	Type uint16 // 0: all types
}

// BreakKind says what is wrong.
type BreakKind string

// What can be wrong with signatures: of the RRsets meant.
const (
	BreakExpired   BreakKind = "expired"   // ended an hour ago
	BreakFuture    BreakKind = "future"    // begins in a day
	BreakInverted  BreakKind = "inverted"  // ends before it begins
	BreakEnding    BreakKind = "ending"    // ends in a minute
	BreakCorrupt   BreakKind = "corrupt"   // the signature's bytes are wrong
	BreakUnsigned  BreakKind = "unsigned"  // there is none
	BreakSigner    BreakKind = "signer"    // made by the zone above with its key
	BreakTag       BreakKind = "tag"       // names a key tag that no key has
	BreakLabels    BreakKind = "labels"    // counts a label more than the owner has
	BreakAlgorithm BreakKind = "algorithm" // of an unknown algorithm
	// BreakAbsent removes RRset and signatures once the zone is signed. An NSEC3 record has
	// the name here that it proves something about.
	BreakAbsent BreakKind = "absent"
)

// What can be wrong with the keys and the DS; names and types are ignored.
const (
	BreakZoneKey     BreakKind = "zone-key"     // the keys lack the flag of a zone key
	BreakDigest      BreakKind = "ds-digest"    // the DS's digest is wrong
	BreakDSTag       BreakKind = "ds-tag"       // the DS names a key tag that no key has
	BreakDSAlgorithm BreakKind = "ds-algorithm" // the DS names an unknown algorithm
)

// OfSignatures reports whether the signatures of the RRsets meant are wrong.
func (k BreakKind) OfSignatures() bool {
	switch k {
	case BreakExpired, BreakFuture, BreakInverted, BreakEnding, BreakCorrupt, BreakUnsigned, BreakSigner, BreakTag,
		BreakLabels, BreakAlgorithm:
		return true
	case BreakAbsent, BreakZoneKey, BreakDigest, BreakDSTag, BreakDSAlgorithm:
	}
	return false
}

// String returns name and type, as in a header.
func (b Break) String() string {
	if b.Type == 0 {
		return b.Name + "/"
	}
	return b.Name + "/" + dns.Type(b.Type).String()
}

func breakKinds() []BreakKind {
	return []BreakKind{
		BreakExpired, BreakFuture, BreakInverted, BreakEnding, BreakCorrupt, BreakUnsigned, BreakSigner, BreakTag,
		BreakLabels, BreakAlgorithm, BreakAbsent, BreakZoneKey, BreakDigest, BreakDSTag, BreakDSAlgorithm,
	}
}

// word reads a word of the header that concerns signing.
func (s *Signing) word(word string) (known bool, err error) {
	name, value, hasValue := strings.Cut(word, "=")
	switch {
	case !hasValue:
		return s.flag(word), nil
	case name == "algorithm":
		s.Algorithms, err = numbers[uint8](value, 8)
	case name == "iterations":
		s.NSEC3 = true
		s.Iterations, err = number[uint16](value, 16)
	case name == "salt":
		_, err = hex.DecodeString(value)
		s.NSEC3, s.Salt = true, value
	case name == "break":
		var b Break
		b, err = parseBreak(value)
		s.Breaks = append(s.Breaks, b)
	default:
		if known, err = s.Keys.word(name, value); !known {
			return false, nil
		}
	}
	s.Signed = true
	return true, err
}

// flag reads a word without a value.
func (s *Signing) flag(word string) (known bool) {
	switch word {
	case "signed":
	case "nsec3":
		s.NSEC3 = true
	case "opt-out":
		s.NSEC3, s.OptOut = true, true
	case "compact":
		s.Compact = true
	case "no-ds":
		s.NoDS = true
	case "csk":
		s.Keys.Combined = true
	default:
		return false
	}
	s.Signed = true
	return true
}

var errGeneration = errors.New("generations of keys are counted from 1 to 9")

// word reads a word about keys.
func (k *KeyPlan) word(name, value string) (known bool, err error) {
	const bits = 16 // more than any of them needs
	var list *[]int
	switch name {
	case "ksk":
		list = &k.KSK
	case "zsk":
		list = &k.ZSK
	case "sign":
		list = &k.Sign
	case "ds":
		list = &k.DS
	case "operators":
		k.Operators, err = number[int](value, bits)
		return true, errors.Join(err, generation(k.Operators))
	case "bits":
		k.Bits, err = number[int](value, bits)
		return true, err
	case "digest":
		k.Digest, err = number[uint8](value, 8)
		return true, err
	default:
		return false, nil
	}
	if *list, err = numbers[int](value, bits); err != nil {
		return true, err
	}
	for _, n := range *list {
		err = errors.Join(err, generation(n))
	}
	return true, err
}

func generation(n int) error {
	if n < 1 || n > 9 {
		return errGeneration
	}
	return nil
}

// numbers reads a list separated by commas.
func numbers[T uint8 | uint16 | int](list string, bits int) ([]T, error) {
	var all []T
	for word := range strings.SplitSeq(list, ",") {
		n, err := number[T](word, bits)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

func number[T uint8 | uint16 | int](word string, bits int) (T, error) {
	n, err := strconv.ParseUint(word, 10, bits)
	return T(n), err
}

func parseBreak(value string) (Break, error) {
	kind, where, _ := strings.Cut(value, ":")
	b := Break{Kind: BreakKind(kind)}
	if !slices.Contains(breakKinds(), b.Kind) {
		return Break{}, fmt.Errorf("%q is no kind of break", kind)
	}
	if slash := strings.LastIndexByte(where, '/'); slash >= 0 {
		b.Name, where = where[:slash], where[slash+1:]
	}
	if where == "" {
		return b, nil
	}
	var ok bool
	if b.Type, ok = dns.StringToType[where]; !ok {
		return Break{}, fmt.Errorf("%q is no type: want a type such as A, a name such as www/, or both such as www/A", where)
	}
	return b, nil
}
