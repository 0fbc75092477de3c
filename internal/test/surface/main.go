// Surface counts what the packages of this library export:
//
//	go run . [CHECKOUT]
//
// Its tests call every exported function and method, and fail with the names of those that
// they do not. They are in a module with another path, as a program that uses the library
// is, so that what takes a package of internal to call does not compile here.
package main

import (
	"fmt"
	"go/types"
	"log"
	"os"
	"text/tabwriter"
)

// library is the checkout that this folder is in.
const library = "../../.."

func main() {
	log.SetFlags(0)
	checkout := library
	if len(os.Args) > 1 {
		checkout = os.Args[1]
	}
	packages, _, err := load(checkout)
	if err != nil {
		log.Fatal(err)
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "names\tfunctions\tmethods\ttypes\tconstants\tvariables\tfields\t")
	sum := map[string]int{}
	for _, p := range packages {
		printCounts(out, count(p), p.Path())
		for kind, n := range count(p) {
			sum[kind] += n
		}
	}
	printCounts(out, sum, "all")
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

func printCounts(out *tabwriter.Writer, n map[string]int, of string) {
	names := n["function"] + n["method"] + n["type"] + n["constant"] + n["variable"]
	fmt.Fprintf(out, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t %s\n", names,
		n["function"], n["method"], n["type"], n["constant"], n["variable"], n["field"], of)
}

// count returns how many names of each kind the package exports.
func count(p *types.Package) map[string]int {
	n := map[string]int{}
	for o := range exported(p) {
		switch o := o.(type) {
		case *types.Func:
			if o.Signature().Recv() == nil {
				n["function"]++
			} else {
				n["method"]++
			}
		case *types.TypeName:
			n["type"]++
		case *types.Const:
			n["constant"]++
		case *types.Var:
			if o.IsField() {
				n["field"]++
			} else {
				n["variable"]++
			}
		}
	}
	return n
}
