package roothints_test

import (
	"errors"
	"fmt"
	"strings"

	roothints "github.com/iterdns/iterdns/rootHints"
)

func ExampleDefault() {
	hints := roothints.Default()
	first := hints.Servers[0]
	fmt.Println(len(hints.Servers), "servers, the first is", first.Name)
	for _, addr := range first.Addrs {
		fmt.Println(addr)
	}
	// Output:
	// 13 servers, the first is a.root-servers.net.
	// 198.41.0.4
	// 2001:503:ba3e::2:30
}

// The root of a test network, with one server on the loopback.
func ExampleParse() {
	hints, err := roothints.Parse(strings.NewReader(`
$ORIGIN example.
.    NS    root        ; the only one
root A     127.0.0.1
     AAAA  ::1
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(hints.Servers[0].Name, hints.Servers[0].Addrs)
	// Output:
	// root.example. [127.0.0.1 ::1]
}

func ExampleParseError() {
	_, err := roothints.Parse(strings.NewReader(". NS ns.example.\nns.exmaple. A 192.0.2.1\n"))
	fmt.Println(err)
	var pe *roothints.ParseError
	fmt.Println(errors.As(err, &pe) && pe.Line == 2, errors.Is(err, roothints.ErrForeignOwner))
	// Output:
	// root hints: line 2: record does not belong in root hints: ns.exmaple. is no root name server
	// true true
}
