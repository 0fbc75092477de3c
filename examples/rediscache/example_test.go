package rediscache_test

import (
	"context"
	"fmt"
	"log"

	"github.com/redis/go-redis/v9"

	"github.com/iterdns/iterdns/examples/rediscache"
	"github.com/iterdns/iterdns/resolver"
)

// Every resolver of the fleet is made like this. It asks the public Internet, so that
// this example is compiled but not run.
func Example() {
	client := redis.NewClient(rediscache.Options("192.0.2.6:6379"))
	defer client.Close()
	r, err := resolver.New(resolver.Options{
		SecondLevel:    &rediscache.Store{Client: client, Prefix: "iterdns:"},
		SecondLevelKey: []byte("32 bytes, which the fleet shares"),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	addrs, err := r.LookupNetIP(context.Background(), "ip", "www.example.com")
	fmt.Println(addrs, err)
	fmt.Printf("%+v\n", r.SecondLevelStats())
}
