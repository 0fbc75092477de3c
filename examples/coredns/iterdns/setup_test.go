package iterdns

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coredns/caddy"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/snapshot"
	"github.com/iterdns/iterdns/resolver"
)

// parseText reads a server block's part of a Corefile.
func parseText(text string) ([]*config, error) {
	c := caddy.NewTestController("dns", text)
	c.ServerBlockKeys = []string{".:53"}
	return parse(c)
}

func parseOne(t *testing.T, text string) *config {
	t.Helper()
	configs, err := parseText(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if len(configs) != 1 {
		t.Fatalf("got %d directives, want 1", len(configs))
	}
	return configs[0]
}

// write makes a file of the test's.
func write(t *testing.T, file, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// kept is the path of a file that examples/anchors has written.
func kept(name string) string { return filepath.Join("..", "..", "anchors", "testdata", name+".json") }

// Each property sets the options that it is for.
func TestProperties(t *testing.T) {
	hints := write(t, "hints", ". 3600 NS a.root.example.\na.root.example. 3600 A 192.0.2.1\n")
	anchors := write(t, "anchors", "example. DS 1 13 2 "+strings.Repeat("ab", 32)+"\n")
	key := write(t, "key", "a key of 32 bytes for the tests.")
	folder := t.TempDir()
	world := write(t, "world", "-- zone example. --\n@ A 192.0.2.1\n")
	tests := []struct {
		text string
		ok   func(c *config) bool
	}{
		{"", func(c *config) bool {
			o := c.options
			return c.cacheBytes == cache.DefaultMaxBytes && o.Validation == resolver.Validate && !o.ServeStale && !o.DisablePrefetch &&
				o.AllowServer == nil && c.redis == nil && c.mock == nil && c.keepStale() == 0 && c.maxPending() == 20_000
		}},
		{"hints " + hints, func(c *config) bool {
			s := c.options.RootHints.Servers
			return len(s) == 1 && s[0].Addrs[0] == netip.MustParseAddr("192.0.2.1")
		}},
		{"anchors " + anchors, func(c *config) bool { return len(c.options.TrustAnchors) == 1 }},
		{"anchors " + kept("state"), func(c *config) bool {
			a := c.options.TrustAnchors
			return len(a) == 2 && a[0].Zone() == "." && strings.Contains(a[0].String(), "DS\t38696 ") && strings.Contains(a[1].String(), "DNSKEY")
		}},
		{"negative_anchor broken.example", func(c *config) bool {
			n := c.options.NegativeTrustAnchors
			return len(n) == 1 && n[0].Zone == "broken.example" && n[0].Until.IsZero()
		}},
		{"negative_anchor broken.example 2036-02-01T00:00:00Z", func(c *config) bool {
			return c.options.NegativeTrustAnchors[0].Until.Equal(time.Date(2036, 2, 1, 0, 0, 0, 0, time.UTC))
		}},
		{"dnssec off", func(c *config) bool { return c.options.Validation == resolver.ValidateOff }},
		{"dnssec on", func(c *config) bool { return c.options.Validation == resolver.Validate }},
		{"minimise strict", func(c *config) bool { return c.options.Minimise == resolver.MinimiseStrict }},
		{"minimise off", func(c *config) bool { return c.options.Minimise == resolver.MinimiseOff }},
		{"cache 128MiB", func(c *config) bool { return c.cacheBytes == 128<<20 }},
		{"limit time 4s\nlimit sends 50\nlimit depth none\nlimit questions 7", func(c *config) bool {
			l := c.options.Limits
			return l.Time == 4*time.Second && l.Sends == 50 && l.Depth == -1 && c.maxPending() == 14
		}},
		{"route corp.example tls://192.0.2.53#dns.example 192.0.2.54:5353 unsigned\nroute pub.corp.example iterate", func(c *config) bool {
			r := c.options.Routes
			return len(r) == 2 && len(r[0].Servers) == 2 && r[0].Unsigned && r[0].Servers[0].Transport == resolver.TransportTLS && r[1].Kind == resolver.RouteIterate
		}},
		{"route corp.example 192.0.2.53 stub", func(c *config) bool { return c.options.Routes[0].Kind == resolver.RouteStub }},
		{"serve_stale", func(c *config) bool { return c.options.ServeStale && c.keepStale() == resolver.DefaultMaxStale }},
		{"serve_stale 24h 500ms", func(c *config) bool {
			return c.options.ServeStale && c.keepStale() == 24*time.Hour && c.options.StaleAfter == 500*time.Millisecond
		}},
		{"snapshot " + folder + "/cache", func(c *config) bool {
			return c.snapshot == saverKey{c.cacheKey(), snapshot.File(folder + "/cache"), 15 * time.Minute}
		}},
		{"snapshot " + folder + "/cache 30s", func(c *config) bool { return c.snapshot.interval == 30*time.Second }},
		{"snapshot " + folder + "/cache 0s", func(c *config) bool { return c.snapshot.interval == 0 }},
		{"prefetch off", func(c *config) bool { return c.options.DisablePrefetch }},
		{"redis 192.0.2.6:6379", func(c *config) bool { return c.redis.Addr == "192.0.2.6:6379" && c.redisPrefix == "iterdns:" }},
		{"redis rediss://:secret@redis.example:6380/3 prefix x: key_file " + key, func(c *config) bool {
			return c.redis.Addr == "redis.example:6380" && c.redis.Password == "secret" && c.redis.DB == 3 && c.redis.TLSConfig != nil &&
				c.redis.ContextTimeoutEnabled && c.redisPrefix == "x:" && len(c.options.SecondLevelKey) == 32
		}},
		{"allow_server 10.0.0.0/8 192.168.1.1", func(c *config) bool {
			a := c.options.AllowServer
			return a(netip.MustParseAddr("10.1.2.3")) && a(netip.MustParseAddr("192.168.1.1")) && a(netip.MustParseAddr("8.8.8.8")) &&
				!a(netip.MustParseAddr("192.168.1.2"))
		}},
		{"family ipv4", func(c *config) bool { return c.options.Family == resolver.FamilyIPv4Only }},
		{"port 5300", func(c *config) bool { return c.options.Port == 5300 }},
		{"local_zones off", func(c *config) bool { return c.options.DisableLocalZones }},
		{"rebinding_protection corp.example", func(c *config) bool {
			return c.options.RebindingProtection && reflect.DeepEqual(c.options.PrivateDomains, []string{"corp.example"})
		}},
		{"case_randomisation off", func(c *config) bool { return c.options.DisableCaseRandomisation }},
		{"mock", func(c *config) bool { return c.mock.text == builtIn }},
		{"mock " + world, func(c *config) bool { return strings.HasPrefix(c.mock.text, "-- zone example.") }},
	}
	tried := make(map[string]bool)
	for _, test := range tests {
		if c := parseOne(t, "iterdns {\n"+test.text+"\n}"); !test.ok(c) {
			t.Errorf("%q: got %+v", test.text, c.options)
		}
		for line := range strings.Lines(test.text) {
			tried[strings.Fields(line)[0]] = true
		}
	}
	tried["except"] = true // TestZones
	for word := range properties {
		if !tried[word] {
			t.Errorf("property %s is not tried", word)
		}
	}
}

// Every limit of the library can be set.
func TestLimits(t *testing.T) {
	for field := range reflect.TypeFor[resolver.Limits]().Fields() {
		name := snake(field.Name)
		value, want := "7", int64(7)
		if name == "time" {
			value, want = "7s", int64(7*time.Second)
		}
		var l resolver.Limits
		if err := setLimit(&l, name, value); err != nil {
			t.Errorf("limit %s: %v", name, err)
			continue
		}
		if got := reflect.ValueOf(l).FieldByName(field.Name).Int(); got != want {
			t.Errorf("limit %s %s: got %d, want %d", name, value, got, want)
		}
	}
}

// snake returns the name of a field as a Corefile has it.
func snake(field string) string {
	field = strings.NewReplacer("NSEC3", "Nsec3", "TCP", "Tcp", "DS", "Ds", "RRset", "Rrset").Replace(field)
	var b strings.Builder
	for i, r := range field {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}

// What is wrong is said with the file's name and the line.
func TestErrors(t *testing.T) {
	short := write(t, "short", "abc")
	broken := write(t, "broken", "-- zone")
	folder := t.TempDir()
	tests := []struct{ text, want string }{
		{"iterdns {\nfoo\n}", "Testfile:2 - Error during parsing: unknown property 'foo'"},
		{"iterdns {\n\n\ndnssec maybe\n}", "Testfile:4 - Error during parsing: dnssec: want 'on' or 'off'"},
		{"iterdns {\ncache 64MiB {\n}\ndnssec off\n}", "Testfile:2 - Error during parsing: cache: no block begins here"},
		{"iterdns {\ncache 64MiB {\ndnssec off\n}\n}", "Testfile:2 - Error during parsing: cache: no block begins here"},
		{"iterdns {\ndnssec on\n} corp.example", "Testfile:3 - Error during parsing: 'corp.example' has no place here"},
		{"iterdns {\ndnssec\n}", "Testfile:2 - Error during parsing: dnssec: argument missing"},
		{"iterdns {\ndnssec on off\n}", "dnssec: too many arguments"},
		{"iterdns {\ndnssec on\ndnssec off\n}", "Testfile:3 - Error during parsing: property 'dnssec' is there twice"},
		{"iterdns {\nhints /nowhere/hints\n}", "Testfile:2 - Error during parsing: hints: open /nowhere/hints"},
		{"iterdns {\nhints " + short + "\n}", "hints: " + short},
		{"iterdns {\nanchors " + short + "\n}", "anchors: " + short},
		{"iterdns {\nanchors " + kept("lost") + "\n}", "Testfile:2 - Error during parsing: anchors: " + kept("lost") + ": .: no key is trusted any more: start anew"},
		{"iterdns {\nnegative_anchor a.example tomorrow\n}", "negative_anchor: 'tomorrow' is no time"},
		{"iterdns {\nnegative_anchor a..example\n}", "Testfile:1 - Error during parsing: resolver: "},
		{"iterdns {\nminimise some\n}", "minimise: 'some' is none of relaxed, strict, off"},
		{"iterdns {\nfamily ipv5\n}", "family: 'ipv5' is none of auto, ipv4, ipv6"},
		{"iterdns {\ncache lots\n}", "cache: 'lots' is no size"},
		{"iterdns {\ncache 5KiB\n}", "cache: 5KiB is too small"},
		{"iterdns {\ncache 9999999999GiB\n}", "cache: 9999999999GiB is too large"},
		{"iterdns {\nlimit sends\n}", "limit: argument missing"},
		{"iterdns {\nlimit sends 3\nlimit sends 4\n}", "Testfile:3 - Error during parsing: limit: 'sends' is there twice"},
		{"iterdns {\nnegative_anchor a.example 2020-01-01T00:00:00Z\n}", "negative_anchor: '2020-01-01T00:00:00Z' is over"},
		{"iterdns {\nredis \"\"\n}", "redis: '' is no address"},
		{"iterdns {\nredis :6379\n}", "redis: ':6379' is no address"},
		{"iterdns {\nredis 192.0.2.6\n}", "redis: '192.0.2.6' is no address"},
		{"iterdns {\nredis 192.0.2.6:0\n}", "redis: '0' is no port"},
		{"iterdns {\nredis redis://\n}", "redis: the URL has no host"},
		{"iterdns {\nredis redis://:pw@:6379/0\n}", "redis: the URL has no host"},
		{"iterdns {\nredis redis://192.0.2.6:6379/0?pool_size=3\n}", "redis: unknown option 'pool_size'"},
		{"iterdns {\nredis redis://192.0.2.6:6379/0?colour=blue\n}", "redis: unknown option 'colour'"},
		{"iterdns {\nredis redis-sentinel://192.0.2.6:26379/mymaster\n}", "redis: one server can be named, not Sentinel or a Cluster"},
		{"iterdns {\nredis redis+cluster://192.0.2.6:6379\n}", "redis: one server can be named"},
		{"iterdns {\nredis redis://:pw@192.0.2.6:6379,192.0.2.7:6379/0\n}", "redis: one server can be named"},
		{"iterdns {\nredis redis://192.0.2.6:6379?addr=192.0.2.7:6379\n}", "redis: one server can be named"},
		{"iterdns {\nredis redis://192.0.2.6:26379?master_name=mymaster\n}", "redis: one server can be named"},
		{"iterdns {\nredis 192.0.2.6:6379,192.0.2.7:6379\n}", "redis: one server can be named"},
		{"iterdns {\nlimit patience 3\n}", "limit: unknown limit 'patience'"},
		{"iterdns {\nlimit sends 0\n}", "limit: sends: '0' is no number above 0"},
		{"iterdns {\nlimit time 5\n}", "limit: time: '5' is no time"},
		{"iterdns {\nroute corp.example\n}", "route: argument missing"},
		{"iterdns {\nroute corp.example ftp://192.0.2.1\n}", "route: resolver: route"},
		{"iterdns {\nserve_stale soon\n}", "serve_stale: 'soon' is no time"},
		{"iterdns {\nserve_stale 1h 1s 1s\n}", "serve_stale: too many arguments"},
		{"iterdns {\nredis\n}", "redis: argument missing"},
		{"iterdns {\nredis 192.0.2.6:6379 prefix\n}", "redis: 'prefix' has no value"},
		{"iterdns {\nredis 192.0.2.6:6379 colour blue\n}", "redis: unknown word 'colour'"},
		{"iterdns {\nredis 192.0.2.6:6379 key_file " + short + "\n}", "has 3 bytes"},
		{"iterdns {\nallow_server home\n}", "allow_server: 'home' is no address or block"},
		{"iterdns {\nport 0\n}", "port: '0' is no port"},
		{"iterdns {\nexcept\n}", "except: argument missing"},
		{"iterdns {\nexcept a..example\n}", "Testfile:2 - Error during parsing: except: 'a..example' is no zone"},
		{"iterdns a..example", "Testfile:1 - Error during parsing: 'a..example' is no zone"},
		{"iterdns {\nsnapshot\n}", "snapshot: argument missing"},
		{"iterdns {\nsnapshot " + folder + "/cache often\n}", "snapshot: 'often' is no time such as 15m"},
		{"iterdns {\nsnapshot " + folder + "/cache -1m\n}", "snapshot: '-1m' is no time such as 15m"},
		{"iterdns {\nsnapshot " + folder + "\n}", "Testfile:2 - Error during parsing: snapshot: " + folder + " cannot be written: it is no regular file"},
		{"iterdns {\nsnapshot /nowhere/cache\n}", "Testfile:2 - Error during parsing: snapshot: /nowhere/cache cannot be written: no such file"},
		{"iterdns {\nsnapshot " + folder + "/cache\n}\niterdns corp.example {\nsnapshot " + folder + "/cache\n}",
			"Testfile:4 - Error during parsing: snapshot: " + folder + "/cache is that of the cache for ., which has other zones or bounds"},
		{"iterdns {\nmock " + broken + "\n}", "Testfile:2 - Error during parsing: mock: "},
		{"iterdns {\nmock\nport 53\n}", "'mock' brings an Internet of its own, which 'port' is not for"},
	}
	for _, test := range tests {
		_, err := parseText(test.text)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Count(err.Error(), "Testfile:") != 1 {
			t.Errorf("%q:\ngot  %v\nwant %s", test.text, err, test.want)
		}
	}
}

// A password in a URL is not in the error about it.
func TestErrorKeepsPassword(t *testing.T) {
	for _, url := range []string{
		"http://:topsecret@192.0.2.6/", "redis://:topsecret,@/", "redis://user:1?topsecret@192.0.2.6:6379/0",
		"redis://user:1#topsecret@192.0.2.6:6379/0", "redis-sentinel://:topsecret@192.0.2.6/", "redis://:topsecret@192.0.2.6,192.0.2.7/",
	} {
		_, err := parseText("iterdns {\nredis \"" + url + "\"\n}")
		if err == nil || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: got %v, want an error without the password", url, err)
		}
	}
	if c := parseOne(t, "iterdns {\nredis redis://:a,b@192.0.2.6:6379/0\n}"); c.redis.Password != "a,b" {
		t.Errorf("got password %q, want a,b", c.redis.Password)
	}
}

// Zones are those of the directive, or else of the server block.
func TestZones(t *testing.T) {
	tests := []struct {
		text    string
		yes, no []string
	}{
		{"iterdns", []string{".", "www.example."}, nil},
		{"iterdns {\nexcept corp.example\nexcept 10.0.0.0/8\n}", []string{".", "www.example."}, []string{"corp.example.", "a.corp.example.", "1.0.0.10.in-addr.arpa."}},
		{"iterdns Example. shop.test", []string{"example.", "a.example.", "shop.test."}, []string{".", "test.", "anexample."}},
	}
	for _, test := range tests {
		c := parseOne(t, test.text)
		for _, qname := range test.yes {
			if !c.answers(qname) {
				t.Errorf("%q: %s is left to the next plugin", test.text, qname)
			}
		}
		for _, qname := range test.no {
			if c.answers(qname) {
				t.Errorf("%q: %s is answered", test.text, qname)
			}
		}
	}
}

// A server block may have several directives.
func TestSeveral(t *testing.T) {
	configs, err := parseText("iterdns corp.example {\ndnssec off\n}\niterdns .")
	if err != nil || len(configs) != 2 || configs[0].label != "corp.example." || configs[1].label != "." {
		t.Errorf("got %d directives and %v, want corp.example. and the root", len(configs), err)
	}
}

// What decides which servers may be asked is part of the name of the view, in any order.
func TestViewName(t *testing.T) {
	a := parseOne(t, "iterdns {\nallow_server 10.0.0.0/8 192.168.0.0/16\n}").options.ViewName
	b := parseOne(t, "iterdns {\nallow_server 192.168.0.0/16\nallow_server 10.0.0.0/8\n}").options.ViewName
	c := parseOne(t, "iterdns {\nallow_server 10.0.0.0/8\n}").options.ViewName
	if a != b || a == c {
		t.Errorf("got %q, %q and %q, want the first two alike and not the third", a, b, c)
	}
}
