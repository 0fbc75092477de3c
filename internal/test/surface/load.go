package main

import (
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"iter"
	"os"
	"os/exec"
	"strings"
)

// load returns the packages of a checkout that other modules can import, as the compiler
// exports them, and an importer of these and of the others named.
func load(checkout string, others ...string) ([]*types.Package, types.Importer, error) {
	list := exec.Command("go", append([]string{"list", "-export", "-deps",
		"-f", "{{with .Module}}{{.Main}}{{end}}\t{{.ImportPath}}\t{{.Export}}", "./..."}, others...)...)
	list.Dir, list.Stderr = checkout, os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("go list: %w", err)
	}
	var paths []string
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		exports[f[1]] = f[2]
		if f[0] == "true" && isPublic(f[1]) {
			paths = append(paths, f[1])
		}
	}
	from := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	var packages []*types.Package
	for _, path := range paths {
		p, err := from.Import(path)
		if err != nil {
			return nil, nil, err
		}
		packages = append(packages, p)
	}
	return packages, from, nil
}

// isPublic reports whether a package is for other modules. Examples are programs.
func isPublic(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == "internal" || part == "examples" {
			return false
		}
	}
	return true
}

// exported yields what a package exports: names of its own, methods, and fields.
func exported(p *types.Package) iter.Seq[types.Object] {
	return func(yield func(types.Object) bool) {
		for _, name := range p.Scope().Names() {
			o := p.Scope().Lookup(name)
			if !o.Exported() {
				continue
			}
			if !yield(o) {
				return
			}
			t, ok := o.Type().(*types.Named)
			if _, isType := o.(*types.TypeName); !ok || !isType {
				continue
			}
			for m := range t.Methods() {
				if m.Exported() && !yield(m) {
					return
				}
			}
			switch u := t.Underlying().(type) {
			case *types.Struct:
				for f := range u.Fields() {
					if f.Exported() && !yield(f) {
						return
					}
				}
			case *types.Interface:
				for m := range u.ExplicitMethods() {
					if m.Exported() && !yield(m) {
						return
					}
				}
			}
		}
	}
}
