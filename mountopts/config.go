package mountopts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// LoadConfig takes options from a file in YAML. What stands at the top level
// holds for all mounts, and the section named as the mount point for that one:
//
//	memory: 1G
//	/mnt/backups:
//	  source: s3://backups/db
//	  allow-other: true
//
// The keys are the names of the options, and source, which is returned. Values
// are read as on the command line.
func (o *Options) LoadConfig(path, mountpoint string) (source string, err error) {
	fail := func(err error) (string, error) { return "", fmt.Errorf("config file %s: %w", path, err) }
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("config file: %w", err)
	}
	var file map[string]yaml.Node
	if err := yaml.Unmarshal(text, &file); err != nil {
		return fail(err)
	}
	abs, err := filepath.Abs(mountpoint)
	if err != nil {
		return fail(err)
	}
	sections := 0
	for name, node := range file {
		switch {
		case node.Kind == yaml.ScalarNode:
			if err := o.setConfig(name, node); err != nil {
				return fail(err)
			}
		case node.Kind != yaml.MappingNode || !filepath.IsAbs(name):
			return fail(fmt.Errorf("%s is neither an option nor a mount point with options", name))
		default:
			sections++
		}
	}
	for name, node := range file {
		if node.Kind != yaml.MappingNode || filepath.Clean(name) != abs {
			continue
		}
		var section map[string]yaml.Node
		if err := node.Decode(&section); err != nil {
			return fail(err)
		}
		for key, value := range section {
			if key == "source" {
				source = value.Value
				continue
			}
			if err := o.setConfig(key, value); err != nil {
				return fail(fmt.Errorf("%s: %w", name, err))
			}
		}
		sections = 0
	}
	if sections > 0 {
		return fail(fmt.Errorf("no section %s", abs))
	}
	if len(o.Secrets()) > 0 || Redact(source) != source {
		if fi, err := os.Stat(path); err == nil && fi.Mode().Perm()&0o077 != 0 {
			return fail(errors.New("others may read it, and it holds a secret: chmod 600"))
		}
	}
	return source, nil
}

func (o *Options) setConfig(name string, value yaml.Node) error {
	if value.Kind != yaml.ScalarNode {
		return &OptionError{Name: name, Err: errors.New("needs one value")}
	}
	if normal(name) == "options" {
		return o.Parse(value.Value)
	}
	r, ok := o.row(normal(name))
	if !ok || r.name == "config" {
		return &OptionError{Name: name, Err: fmt.Errorf("unknown%s", o.Suggest(name))}
	}
	if err := r.value.Set(value.Value); err != nil {
		return &OptionError{Name: name, Value: value.Value, Err: err}
	}
	return nil
}
