package recipes

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

func TestRaceUDP(t *testing.T) {
	const world = `
-- zone example.com. --
www   A     192.0.2.1
www   A     192.0.2.2
www   AAAA  2001:db8::1
`
	// What an address does: answer after a time, refuse after it, or be silent.
	type behaviour struct {
		after   time.Duration
		refuses bool
	}
	const never = time.Hour
	for _, test := range []struct {
		name  string
		first behaviour // of the address that is tried first
		other behaviour // of all others
		want  time.Duration
		wrong string
	}{
		{"first answers", behaviour{50 * time.Millisecond, false}, behaviour{never, false}, 50 * time.Millisecond, ""},
		{"first silent", behaviour{never, false}, behaviour{50 * time.Millisecond, false}, 300 * time.Millisecond, ""},
		{"first refuses", behaviour{20 * time.Millisecond, true}, behaviour{50 * time.Millisecond, false}, 70 * time.Millisecond, ""},
		{"all refuse", behaviour{20 * time.Millisecond, true}, behaviour{20 * time.Millisecond, true}, 60 * time.Millisecond, "refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := resolvertest.New(t, world).Resolver(t)
				// The names are known, so that only the race takes time.
				if _, err := r.LookupNetIP(t.Context(), "ip", "www.example.com"); err != nil {
					t.Fatal(err)
				}
				var mu sync.Mutex
				var tried []netip.AddrPort
				begin := time.Now()
				conn, err := RaceUDP(t.Context(), r, "www.example.com", 443, func(ctx context.Context, server netip.AddrPort) (string, error) {
					mu.Lock()
					tried = append(tried, server)
					does := test.other
					if len(tried) == 1 {
						does = test.first
					}
					mu.Unlock()
					select {
					case <-ctx.Done():
						return "", ctx.Err()
					case <-time.After(does.after):
					}
					if does.refuses {
						return "", errors.New("refused")
					}
					return server.String(), nil
				}, func(string) { t.Error("a connection was made too late") })
				if took := time.Since(begin); took != test.want {
					t.Errorf("took %v, want %v", took, test.want)
				}
				switch {
				case test.wrong != "":
					if err == nil || strings.Count(err.Error(), test.wrong) != 3 {
						t.Errorf("got %v, want three times %q", err, test.wrong)
					}
				case err != nil || conn == "":
					t.Errorf("got %q, %v", conn, err)
				}
				if len(tried) > 1 && tried[0].Addr().Is4() == tried[1].Addr().Is4() {
					t.Errorf("tried %v, want the families in turn", tried)
				}
			})
		})
	}
}

func TestInTurn(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, test := range []struct{ in, want []netip.Addr }{
		{nil, nil},
		{[]netip.Addr{six, six, four}, []netip.Addr{six, four, six}},
		{[]netip.Addr{four, six, six, six}, []netip.Addr{four, six, six, six}},
	} {
		if got := inTurn(test.in); !slices.Equal(got, test.want) {
			t.Errorf("%v: got %v, want %v", test.in, got, test.want)
		}
	}
}
