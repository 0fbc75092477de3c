package resolvertest_test

import (
	"strings"
	"testing"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// Zones with special-use names are found, by the methods of package net too.
func TestSpecialUseZones(t *testing.T) {
	for _, zone := range []string{
		"example.invalid", "invalid", "svc.cluster.local", "local", "x.alt", "x.localhost", "localhost", "home.arpa", "app.test", "corp.internal",
	} {
		for _, signed := range []string{"", "signed "} {
			in := resolvertest.New(t, "-- zone "+zone+". "+signed+"--\nwww A 192.0.2.1\n")
			r := in.Resolver(t)
			addrs, err := r.LookupHost(t.Context(), "www."+zone)
			if err != nil || len(addrs) != 1 || addrs[0] != "192.0.2.1" {
				t.Errorf("www.%s: got %v %v, want the address of the zone", zone, addrs, err)
			}
		}
	}
	in := resolvertest.New(t, "-- zone . --\n@ NS ns\nns A 192.0.2.53\nprinter.local A 192.0.2.1\n")
	if addrs, err := in.Resolver(t).LookupHost(t.Context(), "printer.local"); err != nil {
		t.Errorf("printer.local. in the root zone: got %v %v, want its address", addrs, err)
	}
}

// A text that says what nobody could ever see is an error, and says where it is wrong.
func TestTextsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"-- zone a.onion. --\nwww A 192.0.2.1\n":                                                                  "onion",
		"-- zone example. --\nchild NS ns.child\nns.child A 192.0.2.53\nwww.child A 192.0.2.1\n":                  "www.child.example. A",
		"-- zone example. --\nchild NS ns.else.\nchild TXT \"x\"\n":                                               "child.example. TXT",
		"-- zone example. --\nwww.child A 192.0.2.1\n-- zone child.example. --\nwww A 192.0.2.1\n":                "www.child.example. A",
		"-- zone example. signed break=corrupt:wwww/A --\nwww A 192.0.2.1\n":                                      "wwww/A",
		"-- zone example. signed break=expired:www/AAAA --\nwww A 192.0.2.1\n":                                    "www/AAAA",
		"-- zone example. nsec3 break=unsigned:none/NSEC3 --\nwww A 192.0.2.1\n":                                  "none/NSEC3",
		"-- zone example. signed break=tag:ns.child/A --\nchild NS ns.child\nns.child A 192.0.2.53\n":             "ns.child/A",
		"-- zone shop.example. --\nwww A 192.0.2.1\n-- fault shop.example. --\nwhen name www type A: drop\n":      "www.",
		"-- zone shop.example. --\nwww A 192.0.2.1\n-- fault * --\nwhen name www.shop.exmaple.: rcode SERVFAIL\n": "exmaple.",
	} {
		if _, err := resolvertest.NewInternet(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot %v, want an error with %q", text, err, want)
		}
	}
	for _, text := range []string{
		"-- zone example. --\nchild NS ns.child\nchild NS ns.other\nns.child A 192.0.2.53\nother NS ns.else.\nns.other A 192.0.2.54\n",
		"-- zone example. nsec3 break=corrupt:www/NSEC3 break=corrupt:@/ --\nwww A 192.0.2.1\n",
		"-- zone example. compact break=corrupt:none/NSEC --\nwww A 192.0.2.1\n",
		"-- zone example. signed break=expired:*.w/A break=corrupt:child/DS --\n*.w A 192.0.2.1\n-- zone child.example. signed --\n",
		"-- zone shop.example. --\nwww A 192.0.2.1\n-- fault shop.example. --\nwhen name none.shop.example.: drop\nwhen name example.: drop\n",
	} {
		if _, err := resolvertest.NewInternet(text); err != nil {
			t.Errorf("%s\ngot %v, want none", text, err)
		}
	}
	in := resolvertest.New(t, "-- zone shop.example. --\nwww A 192.0.2.1\n")
	if err := in.Update("-- fault shop.example. --\nwhen name www.example.: drop\n"); err == nil {
		t.Error("an update with a fault at a name that is not there is taken")
	}
}
