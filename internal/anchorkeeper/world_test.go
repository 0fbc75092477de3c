package anchorkeeper

import (
	"context"
	"crypto"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

const day = 24 * time.Hour

// key is a key signing key of a zone.
type key struct {
	record *dns.DNSKEY
	signer crypto.Signer
}

func newKey(t testing.TB, zone string) key {
	t.Helper()
	k := key{record: &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 172800},
		Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}}
	private, err := k.record.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	k.signer = private.(crypto.Signer)
	return k
}

func (k key) revoked() key {
	record := *k.record
	record.Flags |= dns.REVOKE
	return key{&record, k.signer}
}

func (k key) anchor(t testing.TB) dnssec.Anchor {
	t.Helper()
	a, err := dnssec.NewAnchor(k.record.ToDS(dns.SHA256))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// sign makes a DNSKEY RRset.
func sign(t testing.TB, at time.Time, keys []key, signers ...key) *dnssec.RRset {
	t.Helper()
	var rrs []dns.RR
	for _, k := range keys {
		rrs = append(rrs, dns.Copy(k.record))
	}
	plain := slices.Clone(rrs)
	for _, k := range signers {
		sig := &dns.RRSIG{
			Hdr:       dns.RR_Header{Name: k.record.Hdr.Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: 172800},
			Algorithm: k.record.Algorithm, KeyTag: k.record.KeyTag(), SignerName: k.record.Hdr.Name,
			Inception: uint32(at.Add(-time.Hour).Unix()), Expiration: uint32(at.Add(21 * day).Unix()),
		}
		if err := sig.Sign(k.signer, plain); err != nil {
			t.Fatal(err)
		}
		rrs = append(rrs, sig)
	}
	set, err := dnssec.NewRRset(rrs...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// turn orders what a test and the keeper do, one after the other in virtual time, for the race
// detector too.
var turn atomic.Int64

func meet() { turn.Add(1) }

// pass lets time pass.
func pass(d time.Duration) {
	meet()
	time.Sleep(d)
	synctest.Wait()
	meet()
}

// memory is a store, with something wrong if load or save are set.
type memory struct {
	mu         sync.Mutex
	text       []byte
	saved      int
	load, save func(context.Context) error
}

func (s *memory) Load(ctx context.Context) ([]byte, error) {
	meet()
	defer meet()
	if s.load != nil {
		if err := s.load(ctx); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.text), nil
}

func (s *memory) Save(ctx context.Context, state, was []byte) error {
	meet()
	defer meet()
	if s.save != nil {
		if err := s.save(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if string(was) != string(s.text) {
		return dnssec.ErrStoreChanged
	}
	s.text, s.saved = slices.Clone(state), s.saved+1
	return nil
}

// world is a zone or more whose keys a Keeper follows, and what it makes of them.
type world struct {
	t       testing.TB
	store   dnssec.RolloverStore
	anchors []dnssec.Anchor
	offset  time.Duration // of the clock that signatures are judged by
	keys    func(zone dnsname.Name) ([]key, []key)
	fetch   error               // instead of keys
	servers int                 // how many there are, asked in turn; 0: one
	clock   func()              // is called when the clock is read; nil: nothing
	told    func()              // is called when a change is told; nil: nothing
	spoil   func(*dnssec.RRset) // changes what is fetched; nil: nothing

	fetches   int
	asked     int // how often the clock was read
	installed []dnssec.Anchor
	changes   []Change
	keeper    *Keeper
	stop      func()
}

func (w *world) now() time.Time {
	meet()
	defer meet()
	w.asked++
	if w.clock != nil {
		w.clock()
	}
	return time.Now().Add(w.offset)
}

// start runs a Keeper until stop.
func (w *world) start() error {
	w.t.Helper()
	k, anchors, err := Open(Options{
		Store: w.store, Anchors: w.anchors, Now: w.now,
		Changed: func(c Change) {
			meet()
			defer meet()
			w.changes = append(w.changes, c)
			if w.told != nil {
				w.told()
			}
		},
	})
	if err != nil {
		return err
	}
	w.keeper, w.installed = k, anchors
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.Run(ctx, Engine{
			Fetch: func(ctx context.Context, zone dnsname.Name, _ map[netip.AddrPort]bool) (*dnssec.RRset, []netip.AddrPort, error) {
				meet()
				defer meet()
				w.fetches++
				if ctx.Err() != nil {
					return nil, nil, ctx.Err()
				}
				if w.fetch != nil {
					return nil, nil, w.fetch
				}
				keys, signers := w.keys(zone)
				server := netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(w.fetches%max(w.servers, 1)))
				set := sign(w.t, w.now(), keys, signers...)
				if w.spoil != nil {
					w.spoil(set)
				}
				return set, []netip.AddrPort{server}, nil
			},
			Install: func(a []dnssec.Anchor) error {
				meet()
				defer meet()
				w.installed = a
				return nil
			},
		})
	}()
	w.stop = func() { cancel(); <-done }
	return nil
}

// states returns the states of the keys, zone after zone.
func (w *world) states() []string {
	var all []string
	for _, r := range w.keeper.States() {
		for _, k := range r.Keys {
			all = append(all, k.State.String())
		}
	}
	return all
}

func (w *world) want(label string, states ...string) {
	w.t.Helper()
	if got := w.states(); !slices.Equal(got, states) {
		w.t.Errorf("%s: got %q, want %q", label, got, states)
	}
}

// trusts reports whether validation uses a key.
func (w *world) trusts(k key) bool { return slices.Contains(w.installed, k.anchor(w.t)) }

var errDisk = errors.New("no space left on device")
