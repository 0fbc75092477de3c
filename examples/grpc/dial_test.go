// Package grpc_test lets gRPC clients find their servers through iterdns: by a dial function,
// or for targets with dns:///, which balance load, through net.DefaultResolver.
package grpc_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// world has the name of a service at the loopback address. A program asks the real Internet
// with resolver.New(resolver.Options{}).
const world = `
-- zone shop.example. at 198.51.100.3 --
api  A  127.0.0.1
`

// newResolver makes a resolver for that world.
func newResolver() *resolver.Resolver {
	return resolvertest.New(nil, world).Resolver(nil)
}

// serve runs a gRPC server with the health service on a loopback port.
func serve() (port string, stop func()) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	s := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	go s.Serve(l)
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, s.Stop
}

// check asks the server at target how it is.
func check(target string, options ...grpc.DialOption) {
	conn, err := grpc.NewClient(target, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	reply, err := grpc_health_v1.NewHealthClient(conn).Check(context.Background(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(reply.GetStatus())
}

// One connection, to addresses that the resolver has found, raced as RFC 8305 says.
func Example_dialFunction() {
	port, stop := serve()
	defer stop()
	r := newResolver()
	defer r.Close()

	check("passthrough:///api.shop.example:"+port, grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		return r.DialContext(ctx, "tcp", address)
	}))
	// Output: SERVING
}

// Targets with dns:/// give gRPC all addresses of a service, to balance load over them. It
// looks them up through net.DefaultResolver, which is the whole program's.
func Example_dnsTarget() {
	port, stop := serve()
	defer stop()
	r := newResolver()
	defer r.Close()

	before := net.DefaultResolver
	net.DefaultResolver = r.NetResolver() // a program does this once, in main
	defer func() { net.DefaultResolver = before }()
	check("dns:///api.shop.example:" + port)
	// Output: SERVING
}
