package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A snapshot is a line that says what it is, then blocks: four bytes of length, so
// many bytes, and a checksum over them and the checksum before. An empty block ends
// it. In a block stand records, each a byte that tells its sort and four of length.
const (
	snapshotMagic = "iterdns cache snapshot 1\n" // the number is the version

	blockSize     = 64 << 10      // a block is full when it has this
	maxBlock      = 2 * maxRecord // and cannot be longer than this
	maxRecord     = 16 << 20      // of one record: far above what an RRset can be
	checksumSize  = 16            // bytes of SHA-256: against accidents, not attackers
	maxSnapViews  = maxViews      // views in one snapshot
	recordHeader  = 5
	snapshotView  = 'v' // number and digest of a view, before it is first referred to
	snapshotEntry = 'e'
)

// ErrSnapshot says that the input of ReadFrom is no snapshot, is one of an unknown version, or is
// damaged. The error that wraps it says which.
var ErrSnapshot = errors.New("cache: not a whole snapshot")

// WriteTo writes a snapshot of all that is worth having after a restart: everything
// but failures, claims, and what PutBrief keeps. It may run while the cache is in use; each shard is as it
// was at one moment. It implements io.WriterTo.
func (c *Cache) WriteTo(w io.Writer) (int64, error) {
	out := &snapshotWriter{w: w, digests: c.digests(), told: make(map[uint32]bool)}
	out.raw([]byte(snapshotMagic))
	plain := func(e entry) bool { return out.entry(e) }
	cut := func(e *cutEntry) bool { return e.kind != KindCut || out.entry(e.packed()) }
	_ = c.top.each(cut) && c.cuts.each(cut) && c.keys.each(plain) && c.ranges.each(plain) && c.answers.each(plain)
	out.flush()
	out.flush() // the empty block
	if out.err != nil {
		return out.written, fmt.Errorf("cache: write snapshot: %w", out.err)
	}
	return out.written, nil
}

type snapshotWriter struct {
	w       io.Writer
	digests map[uint32][32]byte // of views, by number
	told    map[uint32]bool     // views that were written, by number
	block   []byte
	sum     [sha256.Size]byte
	written int64
	err     error
}

// entry writes one entry and reports whether to go on.
func (s *snapshotWriter) entry(e entry) bool {
	switch e.kind() {
	case KindFailure, KindClaim, KindTypes:
		return true
	case KindRRset, KindNoData, KindNameError, KindWildcard, KindChain, KindRange, KindCut, KindGlue:
	}
	id := e.view()
	digest, ok := s.digests[id]
	if !ok {
		return true // a view made after we began, or forgotten
	}
	if !s.told[id] {
		s.told[id] = true
		s.record(snapshotView, string(binary.BigEndian.AppendUint32(nil, id))+string(digest[:]))
	}
	s.record(snapshotEntry, string(e))
	if len(s.block) >= blockSize {
		s.flush()
	}
	return s.err == nil
}

func (s *snapshotWriter) record(sort byte, body string) {
	s.block = append(s.block, sort)
	s.block = binary.BigEndian.AppendUint32(s.block, uint32(len(body)))
	s.block = append(s.block, body...)
}

func (s *snapshotWriter) flush() {
	s.raw(binary.BigEndian.AppendUint32(nil, uint32(len(s.block))))
	s.raw(s.block)
	s.sum = blockSum(s.sum, s.block)
	s.raw(s.sum[:checksumSize])
	s.block = s.block[:0]
}

func (s *snapshotWriter) raw(b []byte) {
	if s.err != nil {
		return
	}
	var n int
	n, s.err = s.w.Write(b)
	s.written += int64(n)
}

func blockSum(before [sha256.Size]byte, block []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(before[:])
	h.Write(block)
	return [sha256.Size]byte(h.Sum(nil))
}
