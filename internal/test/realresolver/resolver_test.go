package realresolver

import "testing"

// A resolver that would ask others than it is meant to is not run.
func TestRunRefuses(t *testing.T) {
	upstreams := []Upstream{{Zone: "."}}
	for _, test := range []struct {
		product Product
		setting Setting
	}{
		{Unbound, Setting{}},
		{KnotResolver, Setting{}},
		{BIND, Setting{Hints: ". 60 NS a.example.\n", Upstreams: upstreams}},
		{PowerDNS, Setting{Upstreams: upstreams}},
	} {
		process, err := Run(t.TempDir(), test.product, test.setting)
		if err == nil {
			process.Kill()
			t.Errorf("%v with %+v: got no error", test.product, test.setting)
		}
	}
}
