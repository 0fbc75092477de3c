package upstream

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/flight"
	"github.com/iterdns/iterdns/internal/infra"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/transport"
)

// A missing reply says nothing about a server if the query was not sent, or only so late
// that the question's time was over first.
func TestTimeoutsThatAreOurs(t *testing.T) {
	server := netip.MustParseAddrPort("198.51.100.3:53")
	at := func(op string, err error) error {
		return &transport.Error{Op: op, Network: "udp", Server: server, Err: err}
	}
	late := func(op string) error { return at(op, context.DeadlineExceeded) }
	for name, test := range map[string]struct {
		err                       error
		cutShort, asked, madeRoom bool
		timeouts                  int
		unsent, timedOut          bool
	}{
		"silence":                      {err: late("read"), asked: true, timeouts: 1, timedOut: true},
		"a socket that blocks":         {err: late("write"), timeouts: 1, timedOut: true},
		"no time to send":              {err: late("wait"), unsent: true},
		"no time to send again":        {err: late("wait"), asked: true, timedOut: true},
		"late in the question":         {err: late("read"), cutShort: true, asked: true, timeouts: 1},
		"too late to send at all":      {err: late("wait"), cutShort: true},
		"overtaken":                    {err: at("read", context.Canceled), asked: true, timeouts: 1},
		"overtaken before it was sent": {err: at("wait", context.Canceled)},
		"made room for others":         {err: at("read", context.Canceled), asked: true, madeRoom: true},
	} {
		x := queryOut("udp")
		x.hasLeft, x.Flight = test.asked, new(flight.Flight)
		x.Flight.Shed.Store(test.madeRoom)
		table := infra.NewTable()
		x.r.Settings = env.Settings{Now: time.Now}
		x.Cut, x.to = &routes.ZoneCut{Source: &routes.Source{Infra: table}}, &slist.Server{Addr: server}
		x.sent, x.cutShort = time.Now().Add(-time.Second), test.cutShort
		x.to.Estimate = table.Estimate(time.Now(), server)
		again, out := x.handleFailure(test.err)
		if again || out.Unsent != test.unsent || out.TimedOut != test.timedOut || (out.Err == nil) != test.unsent {
			t.Errorf("%s: got again %v and %+v", name, again, out)
		}
		if got := table.Estimate(time.Now(), server).Timeouts; got != test.timeouts {
			t.Errorf("%s: %d timeouts are the server's, want %d", name, got, test.timeouts)
		}
	}
}
