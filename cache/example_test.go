package cache_test

import (
	"fmt"
	"log"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
)

// A cache on its own: one RRset goes in, and comes out with what is left of its TTL.
func Example() {
	record, err := dns.NewRR("www.example.com. 300 IN A 192.0.2.1")
	if err != nil {
		log.Fatal(err)
	}
	set, err := dnssec.NewRRset(record)
	if err != nil {
		log.Fatal(err)
	}
	view := cache.New(cache.Options{MaxBytes: 8 << 20}).View([32]byte{})
	now := time.Now()
	view.Put(now, set, cache.Meta{Rank: cache.RankAnswer, Status: dnssec.Insecure})

	name, err := dnssec.ParseName("WWW.example.com")
	if err != nil {
		log.Fatal(err)
	}
	item, ok := view.Get(now.Add(100*time.Second), name, dns.TypeA, cache.Checked, cache.RankAnswer)
	if !ok {
		log.Fatal("not there")
	}
	records, err := item.Set.AppendRRs(nil, item.TTL, false)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(item.Status, records[0])
	// Output: insecure www.example.com.	200	IN	A	192.0.2.1
}

// Looking for what a cache knows of a name, and making it forget.
func ExampleCache_Purge() {
	c := cache.New(cache.Options{})
	view, now := c.View([32]byte{}), time.Now()
	name, err := dnssec.ParseName("dead.example.com")
	if err != nil {
		log.Fatal(err)
	}
	view.PutFailure(now, name, dns.TypeA, cache.Checked, dns.ExtendedErrorCodeNoReachableAuthority, "")
	c.Walk(now, func(e cache.Entry) bool {
		fmt.Println(e.Kind, e.Name)
		return true
	})
	n, err := c.Purge("dead.example.com")
	fmt.Println(n, err, c.Len())
	// Output:
	// failure dead.example.com.
	// 1 <nil> 0
}
