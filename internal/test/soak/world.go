package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const (
	hotNames    = 200
	signedNames = 5_000
	farZones    = 40
	nxnsZones   = 20
	nxnsServers = 20 // name servers of each of them, none of which exists
	chainLength = 40
	// evilAddr is in no zone that works: an answer with it has been poisoned.
	evilAddr = "203.0.113.66"
)

// portTries is how many ports are tried until all addresses have one free.
const portTries = 20

// newWorld starts the servers, and returns their port.
func newWorld(seed uint64) (*resolvertest.Internet, uint16, error) {
	in, err := resolvertest.NewInternet(worldText(), resolvertest.Seed(seed))
	if err != nil {
		return nil, 0, err
	}
	in.Fault("keytrap.example.", resolvertest.Hook(keyTrap))
	in.Fault("poison.example.", resolvertest.Hook(poison))
	for range portTries {
		port := uint16(10_000 + rand.IntN(20_000)) // below those that the system hands out
		if err = in.ListenAt(port); err == nil {
			return in, port, nil
		}
	}
	in.Close()
	return nil, 0, err
}

// worldText is the Internet: zones that work, and hostile ones.
func worldText() string {
	var b strings.Builder
	b.WriteString(goodZones)
	zone := func(header string) { fmt.Fprintf(&b, "-- zone %s --\n", header) }

	zone("hot.example. at 127.71.2.1 127.71.2.2 signed")
	for i := range hotNames {
		fmt.Fprintf(&b, "h%d 60 A %s\n", i, hotAddr(i))
	}
	zone("signed.example. at 127.71.4.1 127.71.4.2 algorithm=13")
	for i := range signedNames {
		fmt.Fprintf(&b, "n%d 20 A 192.0.2.%d\n", i, i%250)
	}
	for i := range farZones { // short delegations: the walk goes on
		zone(fmt.Sprintf("z%d.far.example. at 127.71.9.%d", i, i+1))
		fmt.Fprintf(&b, "* 5 A 192.0.2.%d\n", i)
	}
	b.WriteString(hostileZones)
	zone("nxns.example. at 127.71.20.1")
	for i := range nxnsZones {
		for j := range nxnsServers {
			fmt.Fprintf(&b, "s%d NS v%dx%d.hot.example.\n", i, i, j)
		}
	}
	zone("chain.example. at 127.71.22.1")
	for i := range chainLength {
		fmt.Fprintf(&b, "c%d 1 CNAME c%d\n", i, i+1)
	}
	fmt.Fprintf(&b, "c%d A %s\nloop 1 CNAME loop1\nloop1 1 CNAME loop\n", chainLength, evilAddr)
	return b.String()
}

func hotAddr(i int) string { return fmt.Sprintf("198.51.100.%d", i) }

const goodZones = `
-- zone . at 127.71.0.1 127.71.0.2 signed --
-- zone example. at 127.71.1.1 127.71.1.2 signed --
-- zone plain.example. at 127.71.3.1 127.71.3.2 --
*.cold      A      192.0.2.80
*.alias     CNAME  h7.hot.example.
old         DNAME  hot.example.
-- zone long.example. at 127.71.5.1 127.71.5.2 --
*           30 A   192.0.2.81
-- fault long.example. --
when udp: truncate
-- zone lossy.example. at 127.71.6.1 127.71.6.2 127.71.6.3 --
*           A      192.0.2.82
-- fault 127.71.6.1 --
dead
-- fault 127.71.6.2 --
latency 120ms
-- fault 127.71.6.3 --
loss 10%
-- zone far.example. at 127.71.8.1 --
`

const hostileZones = `
-- zone keytrap.example. at 127.71.21.1 algorithm=13 --
*           A      192.0.2.90
-- zone bogus.example. at 127.71.23.1 signed break=corrupt --
*           A      203.0.113.66
-- zone silent.example. at 127.71.24.1 127.71.24.2 127.71.24.3 --
-- fault silent.example. --
drop
-- zone slow.example. at 127.71.25.1 --
*           A      192.0.2.91
-- fault slow.example. --
latency 700ms
-- zone drip.example. at 127.71.26.1 127.71.26.2 --
*           A      192.0.2.92
-- fault drip.example. --
when udp: truncate
when tcp: drip 1s
-- zone forged.example. at 127.71.27.1 --
*           A      192.0.2.93
-- fault forged.example. --
forge 5 wrong-id; replace NOERROR @ A 203.0.113.66
-- zone garbage.example. at 127.71.28.1 127.71.28.2 --
*           A      203.0.113.66
-- fault garbage.example. --
garbage
-- zone lame.example. at 127.71.29.1 127.71.29.2 --
*           A      203.0.113.66
-- fault 127.71.29.1 --
lame upward
-- fault 127.71.29.2 --
rcode SERVFAIL
-- zone poison.example. at 127.71.30.1 --
*           A      192.0.2.94
`

// poison has a server say what it has no say over.
func poison(_, reply *dns.Msg) {
	for _, record := range []string{"h1.hot.example. 86400 IN A " + evilAddr, "hot.example. 86400 IN NS ns.evil.example."} {
		rr, err := dns.NewRR(record)
		if err != nil {
			panic(err) // of a constant
		}
		reply.Answer, reply.Ns = append(reply.Answer, rr), append(reply.Ns, rr)
	}
	if rr, err := dns.NewRR("a.root-servers.net. 86400 IN A " + evilAddr); err == nil {
		reply.Extra = append(reply.Extra, rr)
	}
}

// trapKeys and trapSignatures are how many keys with one tag, and how many wrong
// signatures by them, an answer of keytrap.example. has (CVE-2023-50387).
const trapKeys, trapSignatures = 30, 30

// keyTrap adds to keys others with their tag, and to signatures wrong ones.
func keyTrap(_, reply *dns.Msg) {
	var more []dns.RR
	for _, rr := range reply.Answer {
		switch rr := rr.(type) {
		case *dns.DNSKEY:
			more = append(more, sameTag(rr)...)
		case *dns.RRSIG:
			more = append(more, wrongSignatures(rr)...)
		}
	}
	reply.Answer = append(more, reply.Answer...)
}

// sameTag makes keys that have the tag of a key, which is a sum of 16-bit words (RFC 4034
// appendix B): two words that change by opposite amounts leave it, but for a carry.
func sameTag(key *dns.DNSKEY) []dns.RR {
	raw, err := base64.StdEncoding.DecodeString(key.PublicKey)
	if err != nil {
		return nil
	}
	var made []dns.RR
	for i := 1; i+3 < len(raw) && len(made) < trapKeys; i += 2 {
		for j := i + 2; j < len(raw) && len(made) < trapKeys; j += 2 {
			changed := append([]byte(nil), raw...)
			changed[i]++
			changed[j]--
			other := dns.Copy(key).(*dns.DNSKEY)
			other.PublicKey = base64.StdEncoding.EncodeToString(changed)
			if other.KeyTag() == key.KeyTag() {
				made = append(made, other)
			}
		}
	}
	return made
}

// wrongSignatures makes signatures that are wrong, each in another byte.
func wrongSignatures(sig *dns.RRSIG) []dns.RR {
	raw, err := base64.StdEncoding.DecodeString(sig.Signature)
	if err != nil {
		return nil
	}
	made := make([]dns.RR, 0, trapSignatures)
	for i := range trapSignatures {
		changed := append([]byte(nil), raw...)
		changed[i%len(changed)] ^= 1
		other := dns.Copy(sig).(*dns.RRSIG)
		other.Signature = base64.StdEncoding.EncodeToString(changed)
		made = append(made, other)
	}
	return made
}
