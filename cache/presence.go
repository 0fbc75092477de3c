package cache

import (
	"math"
	"math/bits"
	"sync/atomic"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// presence counts what the stores hold of each name in each view, by marks. Most of what is
// looked for when a question is a miss is not there, and one load from memory tells: no lock
// is taken and no map searched, and that for each name above too.
//
// Names share slots, so that it may say that something is there where nothing is, which a
// look then shows. It never says that nothing is there where something is: an entry is
// counted before it can be found and until it no longer can. A count that does not fit any
// more stays at its largest.
type presence struct {
	hasher hasher
	// blocks are made when first written to: a cache that holds little takes little. Without
	// any, anything may be there.
	blocks []atomic.Pointer[presenceBlock]
	made   atomic.Int64 // blocks
}

// presenceBlock has slots of 16 counts of four bits.
type presenceBlock [presenceSlots]atomic.Uint64

const (
	presenceSlots     = 128
	presenceBlockSize = 8*presenceSlots + 8 // with its pointer
	// unboundPresence is what a cache without bounds has for it, in bytes.
	unboundPresence = 4 << 20
)

// mark is what is counted apart, so that a question of one sort is not told of another. The
// addresses of name servers are looked for again and again, by type and trust.
type mark uint8

const (
	markA mark = iota
	markUncheckedA
	markAAAA
	markUncheckedAAAA
	markRRset // of another type
	markCNAME
	markDNAME
	markNoData
	markNameError
	markChain
	markFailure
	markBrief
	markCut
	markGlue
	markRange // a zone of which there are ranges
	markOther
)

const (
	markBits  = 4
	mostMarks = 1<<markBits - 1
)

// held is what a slot counts.
type held uint64

// anything is held where it is not known what is.
const anything = held(1<<64 - 1)

// may reports whether something with the mark may be there.
func (h held) may(m mark) bool { return h>>(m*markBits)&mostMarks != 0 }

// mark is what the entry of k counts as.
func (k *key) mark() mark {
	switch k.kind {
	case KindRRset:
		return markOfRRset(k.rrtype, k.trust)
	case KindNoData:
		return markNoData
	case KindNameError:
		return markNameError
	case KindChain:
		return markChain
	case KindFailure:
		return markFailure
	case KindCut:
		return markCut
	case KindGlue:
		return markGlue
	case KindRange:
		return markRange
	case KindWildcard, KindClaim, KindTypes:
	}
	return markOther
}

func markOfRRset(rrtype uint16, trust Trust) mark {
	switch rrtype {
	case dns.TypeA:
		if trust != Checked {
			return markUncheckedA
		}
		return markA
	case dns.TypeAAAA:
		if trust != Checked {
			return markUncheckedAAAA
		}
		return markAAAA
	case dns.TypeCNAME:
		return markCNAME
	case dns.TypeDNAME:
		return markDNAME
	}
	return markRRset
}

// marked is a value that is counted.
type marked struct {
	name dnsname.Name
	view uint32
	mark mark
}

func (e entry) marked() marked {
	k := key{rrtype: e.rrtype(), kind: e.kind(), trust: e.trust()}
	return marked{e.name(), e.view(), k.mark()}
}

func (e *cutEntry) marked() marked { return marked{e.name, e.view, e.mark()} }

func (z *rangeZone) marked() marked { return marked{z.name, z.view, markRange} }

// limit sets how large the cache may be, in bytes, before there is anything to count.
func (p *presence) limit(cache int64) {
	bytes := cache / 100 * presenceShare
	if cache == math.MaxInt64 {
		bytes = unboundPresence
	}
	p.blocks = make([]atomic.Pointer[presenceBlock], bytes/presenceBlockSize)
}

// at returns what is held of the name with this hash in a view.
func (p *presence) at(name uint64, view uint32) held {
	if len(p.blocks) == 0 {
		return anything
	}
	block, slot := p.place(name, view)
	if b := block.Load(); b != nil {
		return held(b[slot].Load())
	}
	return 0
}

// place returns where a name is counted: the block by the upper bits, the slot by the lower.
func (p *presence) place(name uint64, view uint32) (*atomic.Pointer[presenceBlock], uint64) {
	hash := name ^ p.hasher.rest(&key{view: view})
	at, _ := bits.Mul64(hash, uint64(len(p.blocks)))
	return &p.blocks[at], hash % presenceSlots
}

// slot is place for a count that is about to change; nil when nothing is counted.
func (p *presence) slot(m marked) *atomic.Uint64 {
	if len(p.blocks) == 0 {
		return nil
	}
	block, slot := p.place(p.hasher.name(m.name), m.view)
	b := block.Load()
	if b == nil {
		b = new(presenceBlock)
		if block.CompareAndSwap(nil, b) {
			p.made.Add(1)
		} else {
			b = block.Load() // another goroutine was faster
		}
	}
	return &b[slot]
}

// add counts a value that is about to be stored.
func (p *presence) add(m marked) { p.change(m, 1) }

// remove ends the count of a value that is no longer stored.
func (p *presence) remove(m marked) { p.change(m, -1) }

func (p *presence) change(m marked, by int64) {
	slot := p.slot(m)
	if slot == nil {
		return
	}
	for {
		old := slot.Load()
		if old>>(m.mark*markBits)&mostMarks == mostMarks {
			return // how many there are is no longer known
		}
		if slot.CompareAndSwap(old, old+uint64(by)<<(m.mark*markBits)) {
			return
		}
	}
}

// reset forgets all counts. The caller holds the locks of all stores, which are empty.
func (p *presence) reset() {
	for at := range p.blocks {
		p.blocks[at].Store(nil)
	}
	p.made.Store(0)
}

// stats counts no entries: it has none.
func (p *presence) stats(all []ShardStats) []ShardStats {
	return append(all, ShardStats{Bytes: p.made.Load() * presenceBlockSize, MaxBytes: int64(len(p.blocks)) * presenceBlockSize})
}
