package dnssec

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// The form of a StoredChain, version 1:
//
//	iterdns evidence 1 HEADER RECORDS SHA-256 LF
//	the header, a JSON object, HEADER bytes with its LF
//	the records, RECORDS bytes
//
// Numbers are decimal, the digest is in hexadecimal and of header and records. The records have
// the form of RFC 9102 §2.3; the header says how many of them make up each RRset of each link.

const (
	frameFormat = "iterdns evidence 1 %d %d %x\n"
	frameStart  = "iterdns evidence "
	// maxFrame is how long the first line is at most.
	maxFrame = 128
)

// storedHeader is the header of a StoredChain in JSON.
type storedHeader struct {
	Name     string           `json:"name"`
	Type     string           `json:"type"` // a mnemonic, or TYPEn
	Asked    time.Time        `json:"asked"`
	Answered time.Time        `json:"answered"`
	Servers  []netip.AddrPort `json:"servers,omitempty"`
	Status   string           `json:"status"`
	Failure  string           `json:"failure,omitempty"`
	Note     string           `json:"note,omitempty"`
	Links    []storedLink     `json:"links,omitempty"`
}

// storedLink is a link without its records. Of each RRset there is the count of records and of
// signatures.
type storedLink struct {
	Name      string   `json:"name"`
	Type      string   `json:"type"`
	Kind      string   `json:"kind"`
	Answer    [][2]int `json:"answer,omitempty"`
	Authority [][2]int `json:"authority,omitempty"`
}

// AppendBinary appends the StoredChain to dst, in the form that docs/ca.md of this module
// describes. Several may stand one behind the other. It fails with ErrStoredChain when a limit is
// exceeded, and writes nothing that could not be read again: text that is not UTF-8, an RRset without
// records, a Status or Kind that is none.
func (s *StoredChain) AppendBinary(dst []byte) ([]byte, error) {
	header, records, err := s.encode()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStoredChain, err)
	}
	digest := sha256.Sum256(slices.Concat(header, records))
	dst = fmt.Appendf(dst, frameFormat, len(header), len(records), digest)
	return append(append(dst, header...), records...), nil
}

// MarshalBinary returns what AppendBinary appends.
func (s *StoredChain) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

func (s *StoredChain) encode() (header, records []byte, err error) {
	if err := s.check(); err != nil {
		return nil, nil, err
	}
	h := storedHeader{
		Name: s.Name.String(), Type: typeName(s.Type), Asked: s.Asked.UTC(), Answered: s.Answered.UTC(),
		Servers: s.Servers, Status: s.Status.String(), Failure: s.Failure, Note: s.Note,
	}
	for i := range s.Chain {
		l := &s.Chain[i]
		link := storedLink{Name: l.Name.String(), Type: typeName(l.Type), Kind: l.Kind.String()}
		link.Answer, records = appendSets(records, l.Answer)
		link.Authority, records = appendSets(records, l.Authority)
		h.Links = append(h.Links, link)
	}
	if header, err = json.Marshal(&h); err != nil {
		return nil, nil, err
	}
	header = append(header, '\n')
	switch {
	case len(header) > MaxStoredHeader:
		return nil, nil, fmt.Errorf("a header of %d bytes, of %d at most", len(header), MaxStoredHeader)
	case len(records) > MaxStoredRecords:
		return nil, nil, fmt.Errorf("records of %d bytes, of %d at most", len(records), MaxStoredRecords)
	}
	return header, records, nil
}

// appendSets appends the records of RRsets to dst, and returns how many each has.
func appendSets(dst []byte, sets []*RRset) (counts [][2]int, _ []byte) {
	for _, set := range sets {
		counts = append(counts, [2]int{set.Records.Len(), set.Signatures.Len()})
		dst = appendSet(dst, set)
	}
	return counts, dst
}

// UnmarshalBinary reads one StoredChain, behind which there may be nothing. It fails with
// ErrStoredChain, and leaves s as it was.
func (s *StoredChain) UnmarshalBinary(b []byte) error {
	r := bytes.NewReader(b)
	read, err := readStoredChain(r)
	switch {
	case err == io.EOF:
		return fmt.Errorf("%w: empty", ErrStoredChain)
	case err != nil:
		return err
	case r.Len() > 0:
		return fmt.Errorf("%w: %d bytes more", ErrStoredChain, r.Len())
	}
	*s = *read
	return nil
}

// readStoredChain reads one; io.EOF, and nothing else, where there is none.
func readStoredChain(r io.Reader) (*StoredChain, error) {
	frame, err := readFrame(r)
	if err != nil {
		return nil, err
	}
	var nHeader, nRecords int
	var digest []byte
	if _, err := fmt.Sscanf(frame, frameFormat, &nHeader, &nRecords, &digest); err != nil ||
		fmt.Sprintf(frameFormat, nHeader, nRecords, digest) != frame {
		return nil, fmt.Errorf("%w of version 1: the first line is %.60q", ErrStoredChain, frame)
	}
	if nHeader < 0 || nHeader > MaxStoredHeader || nRecords < 0 || nRecords > MaxStoredRecords {
		return nil, fmt.Errorf("%w: a header of %d bytes and records of %d, of %d and %d at most", ErrStoredChain, nHeader, nRecords, MaxStoredHeader, MaxStoredRecords)
	}
	body := make([]byte, nHeader+nRecords)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, cutOff(err)
	}
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], digest) {
		return nil, fmt.Errorf("%w: damaged: the digest is another", ErrStoredChain)
	}
	s, err := decodeStored(body[:nHeader], string(body[nHeader:]))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStoredChain, err)
	}
	return s, nil
}

// readFrame reads the first line, byte by byte, since what follows is of known length.
func readFrame(r io.Reader) (string, error) {
	var line strings.Builder
	var b [1]byte
	for line.Len() < maxFrame {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			if err == io.EOF && line.Len() == 0 {
				return "", io.EOF
			}
			return "", cutOff(err)
		}
		line.WriteByte(b[0])
		if n := min(line.Len(), len(frameStart)); line.String()[:n] != frameStart[:n] {
			return "", fmt.Errorf("%w: it does not begin with %q", ErrStoredChain, frameStart)
		}
		if b[0] == '\n' {
			return line.String(), nil
		}
	}
	return "", fmt.Errorf("%w: the first line has no end", ErrStoredChain)
}

// cutOff is the error of a file that ends early; other errors of reading are returned as they are.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: cut off", ErrStoredChain)
	}
	return err
}

// decodeStored reads header and records.
func decodeStored(header []byte, records string) (*StoredChain, error) {
	var h storedHeader
	decoder := json.NewDecoder(bytes.NewReader(header))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&h); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("text behind the header")
	}
	s := &StoredChain{Asked: h.Asked, Answered: h.Answered, Servers: h.Servers, Failure: h.Failure, Note: h.Note}
	var err error
	if s.Name, s.Type, err = parseQuestion(h.Name, h.Type); err != nil {
		return nil, err
	}
	var ok bool
	if s.Status, ok = parseNumbered[Status](h.Status, Bogus); !ok {
		return nil, fmt.Errorf("unknown status %q", h.Status)
	}
	if len(h.Links) > MaxStoredLinks {
		return nil, fmt.Errorf("%d links, of %d at most", len(h.Links), MaxStoredLinks)
	}
	for i := range h.Links {
		link, rest, err := h.Links[i].decode(records)
		if err != nil {
			return nil, fmt.Errorf("link %d: %w", i+1, err)
		}
		s.Chain, records = append(s.Chain, link), rest
	}
	if records != "" {
		return nil, fmt.Errorf("%d bytes of records that belong to no link", len(records))
	}
	return s, s.check()
}

func (l *storedLink) decode(records string) (link Link, rest string, err error) {
	if link.Name, link.Type, err = parseQuestion(l.Name, l.Type); err != nil {
		return link, "", err
	}
	var ok bool
	if link.Kind, ok = parseNumbered[ResponseKind](l.Kind, KindReferral); !ok {
		return link, "", fmt.Errorf("unknown kind %q", l.Kind)
	}
	if link.Answer, records, err = takeSets(records, l.Answer); err != nil {
		return link, "", err
	}
	link.Authority, records, err = takeSets(records, l.Authority)
	return link, records, err
}

// takeSets takes as many records off the front as the counts say.
func takeSets(records string, counts [][2]int) (sets []*RRset, rest string, err error) {
	for _, n := range counts {
		var set *RRset
		if set, records, err = takeSet(records, n[0], n[1]); err != nil {
			return nil, "", err
		}
		sets = append(sets, set)
	}
	return sets, records, nil
}

// takeSet takes one RRset of so many records and signatures.
func takeSet(b string, records, signatures int) (set *RRset, rest string, err error) {
	if records < 1 || signatures < 0 {
		return nil, "", fmt.Errorf("an RRset of %d records and %d signatures", records, signatures)
	}
	var data, signed uniqueFields
	for i := 0; i < records || i-records < signatures; i++ { // it ends with b, whatever the counts
		var r wireRecord
		if r, b, err = readRecord(b); err != nil {
			return nil, "", err
		}
		if set == nil {
			set = &RRset{Owner: r.owner, Type: r.rrtype, Class: r.class, TTL: r.ttl}
		}
		want, fields := set.Type, &data
		if i >= records {
			want, fields = dns.TypeRRSIG, &signed
		}
		// What RDATA says is for the validator to judge: malformed signatures are evidence too.
		if r.owner != set.Owner || r.rrtype != want || r.ttl != set.TTL {
			return nil, "", fmt.Errorf("%s %s where a %s of %s belongs", r.owner, typeName(r.rrtype), typeName(want), set.Owner)
		}
		fields.add(r.rdata)
	}
	set.Records, set.Signatures = data.packed(), signed.packed()
	return set, b, nil
}

func parseQuestion(name, rrtype string) (Name, uint16, error) {
	n, err := dnsname.Parse(name)
	if err != nil {
		return "", 0, err
	}
	if t, ok := dns.StringToType[rrtype]; ok {
		return n, t, nil
	}
	var t uint16
	if _, err := fmt.Sscanf(rrtype, "TYPE%d", &t); err != nil || typeName(t) != rrtype {
		return "", 0, fmt.Errorf("unknown type %q", rrtype)
	}
	return n, t, nil
}

// parseNumbered finds the value of an enum, from 0 to last, by its text.
func parseNumbered[T interface {
	~uint8
	String() string
}](text string, last T) (T, bool) {
	for v := T(0); v <= last; v++ {
		if v.String() == text {
			return v, true
		}
	}
	return 0, false
}
