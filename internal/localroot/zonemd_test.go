package localroot

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/test/realdata"
)

// zonemdFaults are the faults of those cases of RFC 8976 appendix A, and of its authors' collection,
// that must not verify.
var zonemdFaults = map[string]Fault{
	"30-repeated-scheme-algorithm": FaultUnverifiable,
	"31-too-small-digest":          FaultUnverifiable,
	"32-truncated-digest":          FaultUnverifiable,
	"33-unknown-hash-algorithm":    FaultUnverifiable,
	"34-unknown-scheme":            FaultUnverifiable,
	"35-wrong-serial":              FaultDigest,
	// The parser of miekg/dns does not read some of its types as they are written there.
	"22-lots-rr-types": FaultSyntax,
	// Expected to verify with the records of its other classes. A zone has one class (RFC 1035 §5.2).
	"80-mixed-classes": FaultSyntax,
}

func TestRFC8976Cases(t *testing.T) {
	dir := realdata.Path(t, "zonemd/zones")
	cases, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, c := range cases {
		t.Run(c.Name(), func(t *testing.T) {
			config := readConfig(t, filepath.Join(dir, c.Name(), "config"))
			text, err := os.ReadFile(filepath.Join(dir, c.Name(), config["zonefile"]))
			if err != nil {
				t.Fatal(err)
			}
			z, err := parseText(t.Context(), string(text), dnsname.MustParse(config["origin"]))
			if err == nil {
				err = z.checkDigest()
			}
			fault, bad := zonemdFaults[c.Name()]
			if bad != (config["expected_result"] == "failure" || fault == FaultSyntax) {
				t.Fatalf("the table does not fit %v", config)
			}
			var got *Error
			switch {
			case !bad && err != nil:
				t.Fatal(err)
			case bad && (!errors.As(err, &got) || got.Fault != fault):
				t.Errorf("got %v, want fault %d", err, fault)
			case bad:
				refused++
				return
			}
			// Any change of a record, its TTL or its owner, is noticed.
			for i := range z.records {
				if z.records[i].rrtype != 63 && z.records[i].rrtype != 46 {
					z.records[i].ttl++
					if z.checkDigest() == nil {
						t.Errorf("another TTL of %s is not noticed", z.records[i].owner)
					}
					z.records[i].ttl--
				}
			}
		})
	}
	if refused != len(zonemdFaults) || len(cases) < 25 {
		t.Errorf("got %d of %d cases refused, want %d of 25 or more", refused, len(cases), len(zonemdFaults))
	}
}

func readConfig(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	config := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			config[key] = value
		}
	}
	return config
}

// realTime is when the signatures of the archived root zone are valid.
var realTime = time.Date(2026, time.January, 6, 12, 0, 0, 0, time.UTC)

const realSerial = 2026010500

// realText is the archived root zone.
func realText(t testing.TB) string {
	t.Helper()
	file, err := os.Open(realdata.Path(t, "root/root-2026010500.zone.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// iana trusts the embedded anchors.
var iana = Trust{Anchors: dnssec.DefaultAnchors}

// The real root zone verifies, and no record of it can be taken away, added or changed.
func TestRealZone(t *testing.T) {
	text := realText(t)
	c, err := parseText(t.Context(), text, dnsname.Root)
	if err != nil {
		t.Fatal(err)
	}
	z, err := iana.verify(c, realTime)
	if err != nil {
		t.Fatal(err)
	}
	if z.Serial != realSerial || !z.Secure || z.expire != 7*24*time.Hour || z.refresh != 30*time.Minute {
		t.Errorf("got %d %t %v %v", z.Serial, z.Secure, z.expire, z.refresh)
	}
	if want := time.Date(2026, 1, 18, 5, 0, 0, 0, time.UTC); !z.signedUntil.Equal(want) {
		t.Errorf("signed until %v, want %v", z.signedUntil, want)
	}
	t.Logf("%d records, %d RRsets, %d bytes", z.Records, len(z.sets), z.Bytes)
	for _, c := range []struct {
		name  string
		text  string
		at    time.Time
		fault Fault
	}{
		{"truncated", text[:len(text)*2/3], realTime, FaultDigest},
		{"a delegation less", without(text, "zw.\t"), realTime, FaultDigest},
		{"another address", strings.Replace(text, "192.5.6.30", "192.0.2.1", 1), realTime, FaultDigest},
		{"a delegation more", text + "evil. 172800 IN NS ns.evil.example.\n", realTime, FaultDigest},
		{"no ZONEMD", without(text, ".\t\t\t86400\tIN\tZONEMD"), realTime, FaultUnverifiable},
		{"expired", text, realTime.AddDate(0, 1, 0), FaultSignature},
		{"not yet valid", text, realTime.AddDate(0, -1, 0), FaultSignature},
		{"no keys", without(text, ".\t\t\t172800\tIN\tDNSKEY"), realTime, FaultSignature},
		{"nothing", "", realTime, FaultSyntax},
		{"SOA only", text[:strings.IndexByte(text, '\n')+1], realTime, FaultSyntax},
		{"an error page", "<!DOCTYPE html>\n<html><body>503 Service Unavailable</body></html>\n", realTime, FaultSyntax},
		{"compressed", "\x1f\x8b\x08\x00", realTime, FaultSyntax},
		{"too large", strings.Repeat("; comment\n", MaxBytes/10+1), realTime, FaultSize},
		{"too many records", text + "$GENERATE 1-65535 a$.zz. A 192.0.2.1\n$GENERATE 1-65535 b$.zz. A 192.0.2.1\n$GENERATE 1-65535 c$.zz. A 192.0.2.1\n", realTime, FaultSize},
		{"includes", "$INCLUDE /etc/passwd\n" + text, realTime, FaultSyntax},
	} {
		z, err := readText(t.Context(), strings.NewReader(c.text), dnsname.Root)
		if err == nil {
			_, err = iana.verify(z, c.at)
		}
		var got *Error
		if !errors.As(err, &got) || got.Fault != c.fault {
			t.Errorf("%s: got %v, want fault %d", c.name, err, c.fault)
		} else {
			t.Logf("%s: %v", c.name, got.Err)
		}
	}
}

// without takes the lines that begin so away.
func without(text, begin string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, begin) {
			b.WriteString(line)
		}
	}
	return b.String()
}
