package infra

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// numbered returns one of many addresses.
func numbered(i uint32) netip.AddrPort {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24|i)
	return netip.AddrPortFrom(netip.AddrFrom4(b), 53)
}

// TestEvictsInOrder: what is evicted has been unused for longest, in all shards together: no entry
// that stays was last used before another one was added that came after the last use of it.
func TestEvictsInOrder(t *testing.T) {
	const most = 100
	table, random := newTable(most, most), rand.New(rand.NewPCG(1, 2))
	zone := dnsname.MustParse("shop.example.")
	added := 0
	lastUse := make(map[netip.AddrPort]int) // by how many were added before
	for range 20_000 {
		addr := numbered(random.Uint32N(3 * most))
		if _, known := lastUse[addr]; !known {
			added++
		}
		lastUse[addr] = added
		table.Alive(addr)
		table.SetLame(start, addr, zone)
		if len(lastUse) <= most {
			continue
		}
		least := added
		var evicted []netip.AddrPort
		for addr, used := range lastUse {
			s := table.shardOf(addr)
			lame := s.lame.items[lameKey{addr, zone}] != nil
			switch server := s.servers.items[addr] != nil; {
			case server != lame:
				t.Fatalf("%s: a server is remembered %t, that it is lame %t", addr, server, lame)
			case server:
				least = min(least, used)
			default:
				evicted = append(evicted, addr)
			}
		}
		if len(evicted) != 1 || lastUse[evicted[0]] > least {
			t.Fatalf("evicted %v, the first of them last used after %d were added, and one that stays after %d", evicted, lastUse[evicted[0]], least)
		}
		delete(lastUse, evicted[0])
	}
	if table.Len() != most {
		t.Errorf("got %d servers, want %d", table.Len(), most)
	}
}

// TestLameOfOneServer: the bound is one for all shards, so that a server which is named for
// thousands of zones that it does not serve is not asked for them again and again.
func TestLameOfOneServer(t *testing.T) {
	table := NewTable()
	zones := make([]dnsname.Name, maxLame)
	for i := range zones {
		zones[i] = dnsname.MustParse(fmt.Sprintf("z%d.example.", i))
		table.SetLame(start, v4, zones[i])
	}
	for _, zone := range zones {
		if !table.Lame(start, v4, zone) {
			t.Fatalf("it is forgotten that it is lame for %s", zone)
		}
	}
}

// TestConcurrent: the bounds hold whatever calls there are at the same time.
func TestConcurrent(t *testing.T) {
	const most = 50
	table := newTable(most, most)
	zone := dnsname.MustParse("shop.example.")
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for i := range uint32(1000) {
				addr := numbered(rand.Uint32N(3 * most))
				now := start.Add(time.Duration(i) * time.Millisecond)
				e, _ := table.Candidate(now, addr, zone)
				table.SetLame(now, addr, zone)
				table.Contact(now, addr)
				if e.Dead || i%7 == 0 {
					if end := table.Probe(now, addr, true); end != nil {
						end()
					} else if probing := table.Probing(addr); probing != nil {
						<-probing
					}
				}
				switch i % 4 {
				case 0:
					table.Answered(now, addr, time.Millisecond)
				case 1, 2:
					table.TimedOut(now, addr, e.Replies)
				default:
					table.Silent(now, addr, e.Replies)
				}
				table.SetCookie(now, addr, []byte("serverpart"))
				table.FamilyDown(now, addr)
				table.HeardLately(now)
				if n := table.Len(); n > most+4 { // each of us may have reserved a place
					t.Errorf("got %d servers, want %d at most", n, most)
				}
			}
		})
	}
	running.Wait()
	servers, lame := 0, 0
	for i := range table.shards {
		servers += len(table.shards[i].servers.items)
		lame += len(table.shards[i].lame.items)
	}
	if servers > most || table.Len() != servers || lame > most || int(table.lame.entries.Load()) != lame {
		t.Errorf("got %d servers, %d by Len, and %d lame ones, %d counted, want %d at most",
			servers, table.Len(), lame, table.lame.entries.Load(), most)
	}
}

// TestAtOnce: the calls that are several at once say what those say.
func TestAtOnce(t *testing.T) {
	zone := dnsname.MustParse("shop.example.")
	for name, happened := range map[string]func(*Table){
		"nothing":  func(*Table) {},
		"answered": func(t *Table) { t.Answered(start, v4, 20*time.Millisecond) },
		"lost":     func(t *Table) { lose(t, start, v4) },
		"dead": func(t *Table) {
			for range deadAfter {
				lose(t, start, v4)
			}
		},
		"lame": func(t *Table) { t.SetLame(start, v4, zone) },
		"features": func(t *Table) {
			t.Answered(start, v4, time.Millisecond)
			t.SetCookie(start, v4, []byte("serverpart"))
			t.LostCase(start, v4)
			t.Took(start, v4, true, true, false, true)
		},
	} {
		table := NewTable()
		happened(table)
		e, lame := table.Candidate(start, v4, zone)
		if want := table.Estimate(start, v4); e != want || lame != table.Lame(start, v4, zone) || lame != (name == "lame") {
			t.Errorf("%s: got %+v, lame %t, want %+v", name, e, lame, want)
		}
		e, f := table.Contact(start, v4)
		want := table.Features(start, v4)
		same := string(f.Cookie) == string(want.Cookie)
		f.Cookie, want.Cookie = nil, nil
		if !same || !equal(f, want) || e != table.Estimate(start, v4) {
			t.Errorf("%s: got %+v, %+v, want %+v", name, e, f, want)
		}
	}
}

// equal compares features without cookies.
func equal(a, b Features) bool {
	return a.EDNS == b.EDNS && a.NoEDNS == b.NoEDNS && a.NoOption == b.NoOption && a.NoCase == b.NoCase &&
		a.Folds == b.Folds && a.Doubted == b.Doubted && a.Full == b.Full && a.Cookies == b.Cookies
}

// TestCookieIsShared: appending to a cookie option does not write into that of others, and
// one that was handed out stays as it is.
func TestCookieIsShared(t *testing.T) {
	table := NewTable()
	client := table.Features(start, v4).Cookie
	_ = append(client, "changed"...)
	table.SetCookie(start, v4, []byte("serverpart"))
	first := table.Features(start, v4).Cookie
	_ = append(first, "changed"...)
	table.SetCookie(start, v4, []byte("SERVERPART"))
	if got := string(first); got != string(client)+"serverpart" {
		t.Errorf("got %q, want what it was", got)
	}
	if got := string(table.Features(start, v4).Cookie); got != string(client)+"SERVERPART" {
		t.Errorf("got %q, want the other cookie", got)
	}
}

// TestReadsAllocateNothing: nor does what is recorded of most replies.
func TestReadsAllocateNothing(t *testing.T) {
	table, zone := NewTable(), dnsname.MustParse("shop.example.")
	table.Answered(start, v4, time.Millisecond)
	table.SetCookie(start, v4, []byte("serverpart"))
	table.SetLame(start, v4, zone)
	for name, call := range map[string]func(){
		"Estimate":    func() { table.Estimate(start, v4) },
		"Lame":        func() { table.Lame(start, v4, zone) },
		"Candidate":   func() { table.Candidate(start, v4, zone) },
		"Features":    func() { table.Features(start, v4) },
		"Contact":     func() { table.Contact(start, v4) },
		"FamilyDown":  func() { table.FamilyDown(start, v4) },
		"HeardLately": func() { table.HeardLately(start) },
		"Probing":     func() { table.Probing(v4) },
		"Answered":    func() { table.Answered(start, v4, time.Millisecond) },
		"TimedOut":    func() { lose(table, start, v4) },
		"SetCookie":   func() { table.SetCookie(start, v4, []byte("serverpart")) },
		"SetLame":     func() { table.SetLame(start, v4, zone) },
	} {
		if n := testing.AllocsPerRun(100, call); n > 0 {
			t.Errorf("%s: got %v allocations, want none", name, n)
		}
	}
}
