package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// prove requires the modules from one outside, and builds their packages.
func prove(ctx context.Context, out io.Writer, work string, all []*module, o options) error {
	env, err := outsideEnv(ctx, work, all)
	if err != nil {
		return err
	}
	for _, m := range all {
		dir := filepath.Join(work, "outside", filepath.FromSlash(m.dir))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		text := fmt.Sprintf("module example.com/outside\n\ngo 1.26\n\nrequire %s %s\n", m.path, o.version)
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o644); err != nil {
			return err
		}
		all := m.path + "/..."
		packages, err := run(ctx, dir, env, "go", "list", "-deps", "-f", "{{with .Module}}{{if eq .Path \""+m.path+"\"}}{{$.ImportPath}}{{end}}{{end}}", all)
		if err != nil {
			return fmt.Errorf("%s cannot be required: %w", m.path, err)
		}
		count := len(strings.Fields(packages))
		if count == 0 {
			return fmt.Errorf("%s has no packages", m.path)
		}
		verb := "loaded"
		if !o.fast || m.dir == "." {
			verb = "built"
			if _, err := run(ctx, dir, env, "go", "build", all); err != nil {
				return fmt.Errorf("%s cannot be built from outside: %w", m.path, err)
			}
		}
		fmt.Fprintf(out, "%s@%s: %d packages %s from outside\n", m.path, o.version, count, verb)
	}
	return nil
}

// outsideEnv is the environment of the module outside: the modules of the release come from the
// folder, all others out of the user's module cache or from where the user has them from.
func outsideEnv(ctx context.Context, work string, all []*module) ([]string, error) {
	text, err := run(ctx, work, nil, "go", "env", "GOMODCACHE", "GOPROXY")
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 2 {
		return nil, fmt.Errorf("go env prints %q", text)
	}
	proxies := slices.Concat([]string{fileURL(proxyDir(work)), fileURL(filepath.Join(lines[0], "cache", "download"))}, lines[1:])
	return []string{
		"GOPROXY=" + strings.Join(proxies, ","), "GOMODCACHE=" + filepath.Join(work, "cache"),
		"GONOSUMDB=" + all[0].path + "," + all[0].path + "/*", "GOPRIVATE=", "GONOPROXY=", "GOWORK=off", "GOFLAGS=-mod=mod -modcacherw",
	}, nil
}

func fileURL(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	slashes := filepath.ToSlash(abs)
	if !strings.HasPrefix(slashes, "/") {
		slashes = "/" + slashes // the drive of Windows
	}
	return (&url.URL{Scheme: "file", Path: slashes}).String()
}

// removeAll removes a folder with what the go command has made read-only in it.
func removeAll(dir string) {
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			return os.Chmod(path, 0o755)
		}
		return nil
	})
	_ = os.RemoveAll(dir)
}
