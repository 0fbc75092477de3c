package iterdns

import (
	_ "embed"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// mock is an Internet of its own, in this process, for trying things out: its servers
// are on sockets of the loopback interface.
type mock struct {
	text string
}

// builtIn is the mock Internet that is there without a file.
//
//go:embed mock.txt
var builtIn string

// open puts the servers on sockets, and tells the options where they are. The function
// it gives closes them.
func (m *mock) open(o *resolver.Options) (func(), error) {
	in, err := resolvertest.NewInternet(m.text)
	if err != nil {
		return nil, err
	}
	if err := in.Listen(); err != nil {
		in.Close()
		return nil, err
	}
	its := in.Options()
	o.RootHints, o.TrustAnchors = its.RootHints, its.TrustAnchors
	o.AllowServer, o.DisableLocalZones = its.AllowServer, its.DisableLocalZones
	o.Dial, o.Now = in.LoopbackDial, its.Now
	if its.Validation == resolver.ValidateOff { // nothing in it is signed
		o.Validation = its.Validation
	}
	return in.Close, nil
}
