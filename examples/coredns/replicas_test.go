//go:build unix

package main

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/realserver"
)

// startRedis runs a redis-server with a password until the test ends, and returns its URL.
func startRedis(t *testing.T) string {
	t.Helper()
	realserver.Program(t, "redis-server")
	// An address of its own: nobody takes the port before the server does.
	host := fmt.Sprintf("127.%d.%d.%d", 1+mathrand.IntN(250), mathrand.IntN(250), 1+mathrand.IntN(250))
	address := net.JoinHostPort(host, "6379")
	redis, err := realserver.Run(realserver.TempDir(t), "redis-server", "--bind", host, "--port", "6379",
		"--save", "", "--appendonly", "no", "--requirepass", "secret")
	if err != nil {
		t.Fatal(err)
	}
	redis.EndWith(t)
	err = redis.Await(func(context.Context) error {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err
	})
	if err != nil {
		t.Fatalf("redis-server does not listen: %v", err)
	}
	return "redis://:secret@" + address + "/0"
}

// What one replica has learnt, another one finds in the store. When the store is away
// both go on.
func TestReplicas(t *testing.T) {
	url := startRedis(t)
	key := t.TempDir() + "/key"
	if err := os.WriteFile(key, []byte("a key of 32 bytes for the tests."), 0o600); err != nil {
		t.Fatal(err)
	}
	corefile := ".:5353 {\nbind HOST\nerrors\nprometheus HOST:9153\niterdns {\nmock\nredis " + url + " key_file " + key + "\n}\n}"
	first, second := start(t, corefile), start(t, corefile)
	first.mustAsk(t, "www.shop.example.", dns.TypeA)
	eventually(t, "the first has written to the store", func() bool {
		return first.scrape(t)[`coredns_iterdns_second_level_total{result="write",zones="."}`] > 0
	})
	// Each reply is a value of its own, and they are written one after the other.
	eventually(t, "the second has read from the store", func() bool {
		reply := second.mustAsk(t, "www.shop.example.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, true) })
		if got := sorted(addresses(reply)); got != shopAddresses || !reply.AuthenticatedData {
			t.Fatalf("got\n%v\nwant %s and AD", reply, shopAddresses)
		}
		return second.scrape(t)[`coredns_iterdns_second_level_total{result="hit",zones="."}`] > 0
	})

	gone := start(t, strings.Replace(corefile, url, "127.0.0.1:1", 1))
	if got := sorted(addresses(gone.mustAsk(t, "www.shop.example.", dns.TypeA))); got != shopAddresses {
		t.Errorf("without a store: got %q, want %s", got, shopAddresses)
	}
	if n := gone.scrape(t)[`coredns_iterdns_second_level_total{result="error",zones="."}`]; n == 0 {
		t.Error("got no errors of a store that is away")
	}
}

// The manifest has the Corefile that stands beside it, and that is right: without the
// stanza that needs a cluster, and with a mock Internet, the server answers.
func TestManifest(t *testing.T) {
	text, err := os.ReadFile("kubernetes/Corefile")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile("kubernetes/iterdns.yaml")
	if err != nil {
		t.Fatal(err)
	}
	indented := regexp.MustCompile(`(?m)^`).ReplaceAllString(strings.TrimSpace(string(text)), "    ")
	if !strings.Contains(string(manifest), "  Corefile: |\n"+indented+"\n---\n") {
		t.Errorf("iterdns.yaml has another Corefile than\n%s", indented)
	}
	key := t.TempDir() + "/key"
	if err := os.WriteFile(key, []byte("a key of 32 bytes for the tests."), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REDIS_URL", "redis://:secret@127.0.0.1:1/0")
	corefile := regexp.MustCompile(`(?s)\tkubernetes .*?\n\t}\n`).ReplaceAllString(string(text), "")
	corefile = strings.NewReplacer(
		".:53 {", ".:5353 {\n\tbind HOST",
		"health {", "health HOST:8080 {",
		"lameduck 5s", "",
		"\tready\n", "\tready HOST:8181\n",
		"prometheus :9153", "prometheus HOST:9153",
		"/etc/iterdns/key", key,
		"iterdns {", "iterdns {\n\t\tmock",
	).Replace(corefile)
	s := start(t, corefile)
	// The mock Internet's addresses are of documentation, not private ones.
	if got := sorted(addresses(s.mustAsk(t, "www.shop.example.", dns.TypeA))); got != shopAddresses {
		t.Errorf("got %q, want %s", got, shopAddresses)
	}
	for _, page := range []string{":8181/ready", ":8080/health"} {
		eventually(t, page+" is 200", func() bool {
			code, _ := get(t, "http://"+s.host+page)
			return code == 200
		})
	}
}
