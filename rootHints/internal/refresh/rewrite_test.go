package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	roothints "github.com/iterdns/iterdns/rootHints"
)

// iana writes the embedded hints in the way IANA does.
func iana() string {
	text := strings.ToUpper(format(roothints.Default(), roothints.Date()))
	_, records, _ := strings.Cut(text, "$TTL 3600000\n")
	return "; This file holds ...\n;       last update:     April 18, 2024 \r\n" + records
}

func TestRefreshed(t *testing.T) {
	embedded, err := os.ReadFile("../../named.root")
	if err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]string{"from IANA's form": iana(), "from its own": string(embedded)} {
		got, err := refreshed(source, roothints.Date())
		if err != nil || got != string(embedded) {
			t.Errorf("%s: got error %v and\n%s\nwant\n%s", name, err, got, embedded)
		}
	}
}

func TestRefreshedRefuses(t *testing.T) {
	replace := func(old, new string) string {
		changed := strings.Replace(iana(), old, new, 1)
		if changed == iana() {
			t.Fatalf("%q is not in the hints", old)
		}
		return changed
	}
	tests := []struct {
		name, source string
		embedded     time.Time
		want         error
	}{
		{"malformed", replace("198.41.0.4", "198.41.0"), roothints.Date(), roothints.ErrAddress},
		{"twelve servers", replace("NS   M.ROOT", "NS   L.ROOT"), roothints.Date(), roothints.ErrForeignOwner},
		{"one server", "; last update: 2024-04-18\n. NS a.example.\na.example. A 192.0.2.1", roothints.Date(), errServers},
		{"no IPv6", replace("AAAA 2001:7FD::1", "A 192.0.2.1"), roothints.Date(), errFamily},
		{"private IPv4", replace("198.41.0.4", "192.168.0.1"), roothints.Date(), errPrivate},
		{"unique local IPv6", replace("2001:7FD::1", "FD00::1"), roothints.Date(), errPrivate},
		{"link-local IPv6", replace("2001:7FD::1", "FE80::1"), roothints.Date(), errPrivate},
		{"no date", replace("last update", "first update"), roothints.Date(), errNoDate},
		{"date that is none", replace("April 18", "Smarch 1"), roothints.Date(), errNoDate},
		{"older", iana(), roothints.Date().AddDate(0, 0, 1), errOlder},
	}
	for _, tt := range tests {
		if got, err := refreshed(tt.source, tt.embedded); !errors.Is(err, tt.want) || got != "" {
			t.Errorf("%s: got %q, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	source := filepath.Join(dir, "source")
	if err := os.WriteFile(source, []byte(iana()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {""}} {
		if err := run(args); err != nil {
			t.Errorf("without a file, %q: %v", args, err)
		}
	}
	if _, err := os.Stat(target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %s was written (%v)", target, err)
	}
	for _, args := range [][]string{{source, source}, {filepath.Join(dir, "absent")}, {dir}} {
		if err := run(args); err == nil {
			t.Errorf("run %v: got no error", args)
		}
	}
	if err := run([]string{source}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(target)
	if want := format(roothints.Default(), roothints.Date()); err != nil || string(got) != want {
		t.Errorf("got error %v and\n%s\nwant\n%s", err, got, want)
	}
}
