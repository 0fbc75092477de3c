package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestSurface(t *testing.T) {
	packages, own, info := loadAll(t)
	t.Run("called", func(t *testing.T) { checkCalled(t, packages, own, info) })
	t.Run("nameable", func(t *testing.T) { checkNameable(t, packages) })
}

// checkCalled checks that every exported function and method is called in this folder, and
// that every interface, which is for programs to implement, is implemented.
func checkCalled(t *testing.T, packages []*types.Package, own *types.Package, info *types.Info) {
	used := map[types.Object]bool{}
	for _, o := range info.Uses {
		if f, ok := o.(*types.Func); ok {
			o = f.Origin() // of a generic one
		}
		used[o] = true
	}
	for _, p := range packages {
		for o := range exported(p) {
			switch o := o.(type) {
			case *types.Func:
				if !isAbstract(o) && !used[o] {
					t.Errorf("nothing calls %s", o.FullName())
				}
			case *types.TypeName:
				if face, ok := o.Type().Underlying().(*types.Interface); ok && !isImplemented(face, own) {
					t.Errorf("nothing implements %s.%s", p.Path(), o.Name())
				}
				for m := range aliasMethods(o) {
					if m.Exported() && !used[m] {
						t.Errorf("nothing calls %s of %s.%s", m.Name(), p.Path(), o.Name())
					}
				}
			}
		}
	}
}

// checkNameable checks that every type in the signature of an exported name can be named
// outside the library.
func checkNameable(t *testing.T, packages []*types.Package) {
	for _, p := range packages {
		for o := range exported(p) {
			typ := o.Type()
			if tn, ok := o.(*types.TypeName); ok && !tn.IsAlias() {
				typ = tn.Type().Underlying()
			}
			if hidden := unnameable(typ); hidden != nil {
				t.Errorf("%v: other modules cannot name %v", o, hidden)
			}
		}
	}
}

// loadAll returns the packages of the library, and this one with what its names mean.
func loadAll(t *testing.T) (packages []*types.Package, own *types.Package, info *types.Info) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	imports := map[string]bool{}
	for _, name := range names {
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
		for _, spec := range f.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			imports[path] = true
		}
	}
	packages, from, err := load(library, slices.Sorted(maps.Keys(imports))...)
	if err != nil {
		t.Fatal(err)
	}
	info = &types.Info{Uses: map[*ast.Ident]types.Object{}}
	own, err = (&types.Config{Importer: from}).Check("example.com/surface", fset, files, info)
	if err != nil {
		t.Fatal(err)
	}
	return packages, own, info
}

func isAbstract(f *types.Func) bool {
	recv := f.Signature().Recv()
	return recv != nil && types.IsInterface(recv.Type())
}

func isImplemented(face *types.Interface, by *types.Package) bool {
	return slices.ContainsFunc(by.Scope().Names(), func(name string) bool {
		o, ok := by.Scope().Lookup(name).(*types.TypeName)
		return ok && types.Implements(types.NewPointer(o.Type()), face)
	})
}

// aliasMethods yields the methods that an alias has of a type of internal.
func aliasMethods(o *types.TypeName) func(func(*types.Func) bool) {
	if named, ok := types.Unalias(o.Type()).(*types.Named); ok && o.IsAlias() && isHidden(named.Obj()) {
		return named.Methods()
	}
	return func(func(*types.Func) bool) {}
}

// isHidden reports whether a type is the library's, and other modules cannot name it.
func isHidden(o *types.TypeName) bool {
	if o.Pkg() == nil || !strings.HasPrefix(o.Pkg().Path(), "github.com/iterdns/iterdns/") {
		return false
	}
	return !o.Exported() || !isPublic(o.Pkg().Path())
}

// unnameable returns a type within t that other modules cannot name, nil if there is none.
// What an exported type is made of is looked at with that type.
func unnameable(t types.Type) types.Type {
	switch t := t.(type) {
	case *types.Alias:
		if !isHidden(t.Obj()) {
			return firstUnnameable(slices.Collect(t.TypeArgs().Types()))
		}
		return t
	case *types.Named:
		if !isHidden(t.Obj()) {
			return firstUnnameable(slices.Collect(t.TypeArgs().Types()))
		}
		return t
	case *types.Map:
		return firstUnnameable([]types.Type{t.Key(), t.Elem()})
	case *types.Signature:
		return firstUnnameable([]types.Type{t.Params(), t.Results()})
	case *types.Tuple:
		var of []types.Type
		for v := range t.Variables() {
			of = append(of, v.Type())
		}
		return firstUnnameable(of)
	case interface{ Elem() types.Type }: // pointers, slices, arrays and channels
		return unnameable(t.Elem())
	}
	return nil
}

func firstUnnameable(in []types.Type) types.Type {
	for _, t := range in {
		if hidden := unnameable(t); hidden != nil {
			return hidden
		}
	}
	return nil
}
