package main

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A module is one that is released.
type module struct {
	dir   string   // from the top of the repository, with slashes; "." for the library
	path  string   // of the module
	files []string // that git tracks, from the top, without those of modules below
	root  string   // the top of the repository
	goMod []byte   // as released; set by setVersions
}

// edited is what go mod edit -json says, as far as it is needed.
type edited struct {
	Module  struct{ Path string }
	Require []struct{ Path, Version string }
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
}

// readModules returns the modules of the repository, the library first. Those with a path that
// does not begin with the library's are not released.
func readModules(ctx context.Context, root string) ([]*module, error) {
	list, err := run(ctx, root, nil, "git", "-c", "safe.directory=*", "ls-files", "-z")
	if err != nil {
		return nil, err
	}
	files := strings.FieldsFunc(list, func(r rune) bool { return r == 0 })
	var all []*module
	for _, file := range files {
		if path.Base(file) != "go.mod" {
			continue
		}
		m := &module{dir: path.Dir(file), root: root}
		if strings.Contains("/"+m.dir+"/", "/testdata/") {
			continue
		}
		mod, err := m.edited(ctx)
		if err != nil {
			return nil, err
		}
		m.path = mod.Module.Path
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *module) int { return strings.Compare(a.dir, b.dir) })
	if len(all) == 0 || all[0].dir != "." {
		return nil, errors.New("there is no go.mod at the top of the repository")
	}
	for _, file := range files {
		owner := all[0]
		for _, m := range all[1:] {
			if strings.HasPrefix(file, m.dir+"/") {
				owner = m
			}
		}
		owner.files = append(owner.files, file)
	}
	for _, m := range all[1:] {
		if want := all[0].path + "/" + m.dir; strings.HasPrefix(m.path, all[0].path+"/") && m.path != want {
			return nil, fmt.Errorf("%s is in %s, where only %s is found", m.path, m.dir, want)
		}
	}
	return slices.DeleteFunc(all, func(m *module) bool {
		return m != all[0] && !strings.HasPrefix(m.path, all[0].path+"/")
	}), nil
}

func (m *module) edited(ctx context.Context) (*edited, error) {
	text, err := run(ctx, filepath.Join(m.root, m.dir), nil, "go", "mod", "edit", "-json")
	if err != nil {
		return nil, err
	}
	mod := new(edited)
	return mod, json.Unmarshal([]byte(text), mod)
}

// setVersions makes the go.mod of the release: the modules of the repository require each other at
// this version. A replacement by anything else is an error, since who requires the module does not
// have it.
func (m *module) setVersions(ctx context.Context, all []*module, version, work string) error {
	ours := func(path string) bool {
		return slices.ContainsFunc(all, func(m *module) bool { return m.path == path })
	}
	mod, err := m.edited(ctx)
	if err != nil {
		return err
	}
	args := []string{"mod", "edit"}
	for _, r := range mod.Require {
		if ours(r.Path) {
			args = append(args, "-require="+r.Path+"@"+version)
		}
	}
	for _, r := range mod.Replace {
		if !ours(r.Old.Path) {
			return fmt.Errorf("%s/go.mod replaces %s: who requires %s does not have that", m.dir, r.Old.Path, m.path)
		}
	}
	text, err := os.ReadFile(filepath.Join(m.root, m.dir, "go.mod"))
	if err != nil {
		return err
	}
	copied := filepath.Join(work, "go.mod")
	if err := os.WriteFile(copied, text, 0o644); err != nil {
		return err
	}
	if len(args) > 2 {
		if _, err := run(ctx, work, nil, "go", append(args, copied)...); err != nil {
			return err
		}
	}
	m.goMod, err = os.ReadFile(copied)
	return errors.Join(err, os.Remove(copied))
}

func (m *module) write(root string) error {
	return os.WriteFile(filepath.Join(root, m.dir, "go.mod"), m.goMod, 0o644)
}

// tag returns the name of the git tag by which the go command finds the module.
func (m *module) tag(version string) string { return path.Join(m.dir, version) }

// proxyDir is the folder of the file-system proxy.
func proxyDir(work string) string { return filepath.Join(work, "proxy") }

// publish puts the module into the proxy: the form is that of GOPROXY (go help goproxy).
func (m *module) publish(work, version string) error {
	dir := filepath.Join(proxyDir(work), filepath.FromSlash(m.path), "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{version, time.Now().UTC()})
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{"list": []byte(version + "\n"), version + ".info": info, version + ".mod": m.goMod} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	file, err := os.Create(filepath.Join(dir, version+".zip"))
	if err != nil {
		return err
	}
	return errors.Join(m.zip(file, m.path+"@"+version+"/"), file.Close())
}

func (m *module) zip(w io.Writer, prefix string) error {
	archive := zip.NewWriter(w)
	for _, name := range m.files {
		source := filepath.Join(m.root, filepath.FromSlash(name))
		if info, err := os.Lstat(source); errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue // deleted but not yet committed, or a link, which modules do not have
		}
		text, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		inside := strings.TrimPrefix(name, m.dir+"/")
		if inside == "go.mod" {
			text = m.goMod
		}
		file, err := archive.Create(prefix + inside)
		if err != nil {
			return err
		}
		if _, err := file.Write(text); err != nil {
			return err
		}
	}
	return archive.Close()
}

// run runs a program in a folder and returns what it prints.
func run(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Env = dir, append(os.Environ(), env...)
	var out, diag strings.Builder
	command.Stdout, command.Stderr = &out, &diag
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, &out, &diag)
	}
	return out.String(), nil
}
