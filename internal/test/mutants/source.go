package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A module is what can be changed: the product packages below a folder.
type module struct {
	root  string
	path  string
	decls map[string][]*declaration // by name within the package, such as scrubber.dname
}

// A declaration is a function, or one type, variable or constant at package level.
type declaration struct {
	file *sourceFile
	pkg  string // its package's folder, relative to the module

	from, to         int // its text in the file
	bodyFrom, bodyTo int // what is between a function's braces
}

type sourceFile struct {
	path    string // absolute
	pkgName string
	src     []byte
}

// testPackages hold test programs: what is no product has no rule to be taken away.
const testPackages = "internal/test"

// readModule parses the product packages of the module at root. Nested modules are others.
func readModule(root string) (*module, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	path, err := modulePath(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, err
	}
	m := &module{root: root, path: path, decls: map[string][]*declaration{}}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != root && m.isForeign(path, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		return m.readFile(path)
	})
	return m, err
}

func modulePath(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(content)) {
		if path, ok := strings.CutPrefix(line, "module "); ok {
			return strings.TrimSpace(path), nil
		}
	}
	return "", fmt.Errorf("%s names no module", file)
}

// isForeign reports whether a folder holds no product package of this module.
func (m *module) isForeign(dir, name string) bool {
	if name == "testdata" || name[0] == '.' || name[0] == '_' || m.rel(dir) == testPackages {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func (m *module) rel(path string) string {
	rel, err := filepath.Rel(m.root, path)
	if err != nil {
		return path
	}
	return filepath.ToSlash(rel)
}

// readFile adds the declarations of a Go file that is no test and built here.
func (m *module) readFile(path string) error {
	dir, name := filepath.Split(path)
	if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
		return nil
	}
	if built, err := build.Default.MatchFile(dir, name); err != nil || !built {
		return err
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return m.addFile(path, src)
}

func (m *module) addFile(path string, src []byte) error {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, path, src, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	file := &sourceFile{path: path, pkgName: parsed.Name.Name, src: src}
	pkg := m.rel(filepath.Dir(path))
	for name, node := range declarations(parsed) {
		d := &declaration{file: file, pkg: pkg, from: fset.Position(node.Pos()).Offset, to: fset.Position(node.End()).Offset}
		if f, ok := node.(*ast.FuncDecl); ok {
			d.from = fset.Position(f.Type.Pos()).Offset
			if f.Body != nil {
				d.bodyFrom, d.bodyTo = fset.Position(f.Body.Lbrace).Offset+1, fset.Position(f.Body.Rbrace).Offset
			}
		}
		m.decls[name] = append(m.decls[name], d)
	}
	return nil
}

// declarations yields what a file declares at package level, each by its name.
func declarations(file *ast.File) func(yield func(string, ast.Node) bool) {
	return func(yield func(string, ast.Node) bool) {
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if !yield(functionName(decl), decl) {
					return
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					node := ast.Node(spec)
					if !decl.Lparen.IsValid() {
						node = decl // with the keyword
					}
					for _, name := range specNames(spec) {
						if !yield(name, node) {
							return
						}
					}
				}
			}
		}
	}
}

// functionName is a method's name after that of its receiver's type, pointer or not.
func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	receiver := f.Recv.List[0].Type
	for {
		switch t := receiver.(type) {
		case *ast.StarExpr:
			receiver = t.X
		case *ast.IndexExpr:
			receiver = t.X
		case *ast.IndexListExpr:
			receiver = t.X
		case *ast.Ident:
			return t.Name + "." + f.Name.Name
		default:
			return f.Name.Name
		}
	}
}

func specNames(spec ast.Spec) []string {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		return []string{spec.Name.Name}
	case *ast.ValueSpec:
		var names []string
		for _, name := range spec.Names {
			names = append(names, name.Name)
		}
		return names
	}
	return nil
}

var errNotFound = errors.New("is not declared in any package")

// find returns the declaration of a name after that of its package. What has moved to
// another package is found there, if only one has that name.
func (m *module) find(name string) (*declaration, error) {
	pkg, decl, ok := splitName(name)
	if !ok {
		return nil, fmt.Errorf("%s is not package.function, package.type.method or package.name", name)
	}
	found := slices.DeleteFunc(slices.Clone(m.decls[decl]), func(d *declaration) bool { return d.pkg != pkg })
	if len(found) == 0 {
		found = m.decls[decl]
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%s %w", decl, errNotFound)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%s is declared %d times: say in which package", name, len(found))
}

// splitName splits internal/scrub.scrubber.dname after the package.
func splitName(name string) (pkg, decl string, ok bool) {
	slash := strings.LastIndex(name, "/") + 1
	base, decl, ok := strings.Cut(name[slash:], ".")
	return name[:slash] + base, decl, ok && decl != ""
}

// lineIndent returns the white space that the line of an offset begins with.
func lineIndent(src []byte, at int) []byte {
	line := src[bytes.LastIndexByte(src[:at], '\n')+1:]
	return line[:len(line)-len(bytes.TrimLeft(line, indentation))]
}
