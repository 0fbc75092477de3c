package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/iterdns/iterdns/internal/drawing"
)

// painter returns what draws files of a name's extension; nil if nothing does.
func painter(file string) func(*drawing.Picture) string {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".svg":
		return drawing.SVG
	case ".dot", ".gv":
		return drawing.Dot
	}
	return nil
}

// probeGraph reports why the file of -graph cannot be written, before a walk is made for it.
func (c *command) probeGraph() error {
	if c.graph == "" {
		return nil
	}
	_, missing := os.Lstat(c.graph)
	f, err := os.OpenFile(c.graph, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	err = f.Close()
	if errors.Is(missing, fs.ErrNotExist) {
		err = errors.Join(err, os.Remove(c.graph))
	}
	return err
}

// draw writes the picture.
func draw(file string, p *drawing.Picture) error {
	return os.WriteFile(file, []byte(painter(file)(p)), 0o666)
}
