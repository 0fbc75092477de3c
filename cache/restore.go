package cache

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/miekg/dns"
)

// ReadFrom adds the entries of a snapshot to the cache by the same rules as other data: what
// ranks higher or was learnt later stays, and the bounds hold. What has expired
// meanwhile by the wall clock is left out, and nothing lives longer than the options
// allow. After an error, which wraps ErrSnapshot when the input is to blame, the cache is
// empty. It reads to the end of the snapshot, and buffers, so that it may have read more from r. It
// implements io.ReaderFrom.
//
// A snapshot is trusted, security statuses included: keep it where nobody else can write.
func (c *Cache) ReadFrom(r io.Reader) (int64, error) {
	in := &snapshotReader{c: c, r: bufio.NewReader(r), now: c.options.Now(), views: make(map[uint32]*View)}
	err := in.read()
	if err != nil {
		c.Clear()
		return in.taken, fmt.Errorf("cache: read snapshot at byte %d: %w", in.taken, err)
	}
	return in.taken, nil
}

type snapshotReader struct {
	c     *Cache
	r     *bufio.Reader
	now   time.Time
	views map[uint32]*View // by their number in the snapshot
	block bytes.Buffer
	sum   [sha256.Size]byte
	taken int64
}

func (s *snapshotReader) read() error {
	magic := make([]byte, len(snapshotMagic))
	if err := s.full(magic); err != nil {
		return err
	}
	if string(magic) != snapshotMagic {
		return fmt.Errorf("%w: it begins with %q", ErrSnapshot, magic)
	}
	for {
		block, err := s.next()
		if err != nil {
			return err
		}
		if len(block) == 0 {
			return nil
		}
		if err := s.records(block); err != nil {
			return err
		}
	}
}

// full fills b or fails.
func (s *snapshotReader) full(b []byte) error {
	n, err := io.ReadFull(s.r, b)
	s.taken += int64(n)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: it ends early", ErrSnapshot)
	}
	return err
}

// next reads a block and checks it before anybody looks into it.
func (s *snapshotReader) next() ([]byte, error) {
	var length [4]byte
	if err := s.full(length[:]); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(length[:]))
	if n > maxBlock {
		return nil, fmt.Errorf("%w: block of %d bytes", ErrSnapshot, n)
	}
	s.block.Reset() // grows with what is there, not with what is promised
	got, err := io.CopyN(&s.block, s.r, n)
	s.taken += got
	if err == io.EOF {
		return nil, fmt.Errorf("%w: it ends early", ErrSnapshot)
	}
	if err != nil {
		return nil, err
	}
	var sum [checksumSize]byte
	if err := s.full(sum[:]); err != nil {
		return nil, err
	}
	s.sum = blockSum(s.sum, s.block.Bytes())
	if !bytes.Equal(sum[:], s.sum[:checksumSize]) {
		return nil, fmt.Errorf("%w: wrong checksum", ErrSnapshot)
	}
	return s.block.Bytes(), nil
}

func (s *snapshotReader) records(block []byte) error {
	for len(block) > 0 {
		if len(block) < recordHeader {
			return fmt.Errorf("%w: record ends early", ErrSnapshot)
		}
		sort, n := block[0], int64(binary.BigEndian.Uint32(block[1:]))
		block = block[recordHeader:]
		if n > int64(len(block)) {
			return fmt.Errorf("%w: record ends early", ErrSnapshot)
		}
		if err := s.record(sort, block[:n]); err != nil {
			return err
		}
		block = block[n:]
	}
	return nil
}

func (s *snapshotReader) record(sort byte, body []byte) error {
	switch sort {
	case snapshotView:
		if len(body) != 4+32 || len(s.views) == maxSnapViews {
			return fmt.Errorf("%w: malformed view", ErrSnapshot)
		}
		s.views[binary.BigEndian.Uint32(body)] = s.c.View([32]byte(body[4:]))
		return nil
	case snapshotEntry:
		e := entry(body)
		if !e.wellFormed() {
			return fmt.Errorf("%w: malformed entry", ErrSnapshot)
		}
		v, ok := s.views[e.view()]
		if !ok {
			return fmt.Errorf("%w: entry of an unknown view", ErrSnapshot)
		}
		v.load(s.now, e)
		return nil
	}
	return fmt.Errorf("%w: record of sort %q", ErrSnapshot, sort)
}

// load puts a well-formed entry of a snapshot into the cache, unless it is too old.
func (v *View) load(now time.Time, e entry) {
	i, st := v.cache.at(now), e.standing()
	life := e.span()
	left := min(life.wall-i.wall, int64(life.ttl)*1000, v.cache.options.longest(e).Milliseconds())
	if left <= -v.cache.options.KeepStale.Milliseconds() || len(e.body()) > v.cache.options.MaxEntry+entryHeader {
		return
	}
	life = span{wall: i.wall + left, mono: noMonotonic, ttl: life.ttl}
	if i.mono != noMonotonic {
		life.mono = max(i.mono+left, 0)
	}
	d := time.Duration(left) * time.Millisecond
	k := key{name: e.name(), view: v.id, rrtype: e.rrtype(), kind: e.kind(), trust: e.trust()}
	fresh := entry(append(appendHead(make([]byte, 0, len(e)), head{k, st, life, e.note()}), e.body()...))
	switch k.kind {
	case KindRRset, KindNoData, KindNameError, KindWildcard, KindChain:
		if s := v.spot(k.name); !v.knowsLater(i, s, k, fresh) {
			v.place(i, s, k, fresh)
		}
	case KindRange:
		v.loadRange(i, fresh, d)
	case KindCut:
		if known := v.cutEntry(v.cutKey(k.name)); known != nil && known.left(i) > 0 && known.arrived() > life.arrived() {
			return // the parent has spoken since
		}
		if cut, ok := unpackCut(fresh); ok {
			cut.TTL = d
			v.PutCut(now, cut, Meta{Rank: RankReferral})
		}
	case KindFailure, KindClaim, KindTypes, KindGlue: // never in a snapshot
	}
}

// longest is how long what an entry holds may live.
func (o *Options) longest(e entry) time.Duration {
	switch e.kind() {
	case KindNoData, KindNameError, KindRange:
		return min(o.MaxTTL, o.MaxNegativeTTL)
	case KindChain:
		if _, _, authorities, _ := e.chainParts(); authorities > 0 {
			return min(o.MaxTTL, o.MaxNegativeTTL)
		}
	case KindRRset, KindWildcard, KindFailure, KindClaim, KindTypes, KindCut, KindGlue:
	}
	return o.MaxTTL
}

// knowsLater reports whether something alive that was learnt after e answers, or denies,
// the same name and type.
func (v *View) knowsLater(i instant, s spot, k key, e entry) bool {
	others := []Kind{KindRRset, KindChain, KindNoData, KindNameError}
	if k.kind == KindWildcard {
		others = []Kind{KindWildcard}
	}
	for _, k.kind = range others {
		at := k
		if at.kind == KindNameError {
			at.rrtype = 0
		}
		if known, _, ok := v.entryAt(s, at, false); ok && known.span().left(i) > 0 && known.span().arrived() > e.span().arrived() {
			return true
		}
	}
	return false
}

// loadRange puts back a gap, or a zone's SOA, which comes after the zone's gaps.
func (v *View) loadRange(i instant, e entry, d time.Duration) {
	item := e.item(i)
	zone := item.Set.Owner
	if item.Set.Type == dns.TypeSOA {
		v.learnSOA(i, &item.Set, d)
		return
	}
	for sig := range item.Set.Signatures.All() {
		signer, _, ok := signedBy(sig)
		if !ok {
			return
		}
		zone = signer
	}
	v.learn(i, zone, &item.Set, d)
}
