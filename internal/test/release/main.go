// Command release prepares a release of the library and of the modules in examples, which have its
// version too.
//
//	go run ./internal/test/release v0.2.0         proves that the release can be required
//	go run ./internal/test/release -fast v0.2.0   the same, but compiles the library alone
//	go run ./internal/test/release -write v0.2.0  the same as the first, then sets the versions in
//	                                              the go.mod files of the nested modules
//
// It makes a module of each go.mod from the files that git tracks, with the requirements that the
// release will have, and puts them into a file-system proxy. A module outside, in a temporary
// folder, requires all of them at that version and builds every package. There is no replace in it,
// and those in the modules themselves have no effect there, as for everybody who requires them. The
// module cache is one of its own, so that nothing unreleased is left in that of the user; what others
// have published comes out of the user's, or from the proxy in the environment.
//
// It prints the tags of the release, and makes none. It is run at the top of the repository.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/iterdns/iterdns/internal/test/progress"
)

type options struct {
	fast, write bool
	version     string
}

func main() {
	var o options
	flag.BoolVar(&o.fast, "fast", false, "compile the packages of the library alone, and load the others")
	flag.BoolVar(&o.write, "write", false, "set the versions in the go.mod files of the nested modules")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: release [-fast] [-write] VERSION")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	o.version = flag.Arg(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	begin := time.Now()
	err := release(ctx, os.Stdout, ".", o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	progress.End(os.Stdout, "release", begin, err)
	if err != nil {
		stop()
		os.Exit(1)
	}
}

// versions are those that a module path without a suffix may have.
var versions = regexp.MustCompile(`^v[01]\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

func release(ctx context.Context, out io.Writer, root string, o options) error {
	if !versions.MatchString(o.version) {
		return fmt.Errorf("%q is no version of these modules, such as v0.2.0", o.version)
	}
	all, err := readModules(ctx, root)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer removeAll(work)
	for _, m := range all {
		if err := m.setVersions(ctx, all, o.version, work); err != nil {
			return err
		}
		if err := m.publish(work, o.version); err != nil {
			return err
		}
	}
	if err := prove(ctx, out, work, all, o); err != nil {
		return err
	}
	for _, m := range all {
		if o.write {
			if err := m.write(root); err != nil {
				return err
			}
		}
		fmt.Fprintln(out, "tag", m.tag(o.version))
	}
	return nil
}
