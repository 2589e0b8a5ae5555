package main

import (
	"fmt"
	"strings"
)

// mountArguments reads what mount(8) gives its helpers:
// SOURCE MOUNTPOINT [-sfnv] [-N namespace] [-o options] [-t type].
func mountArguments(argv []string) (args []string, done bool, err error) {
	args = []string{"mount"}
	flags, operands, values, err := helperFlags(argv, "oNt")
	if err != nil {
		return nil, false, usage(err)
	}
	if len(operands) != 2 {
		return nil, false, usage(fmt.Errorf("called by mount with %d operands, need a source and a mount point", len(operands)))
	}
	for _, list := range values['o'] {
		args = append(args, "-o", list)
	}
	return append(args, "--", operands[0], operands[1]), strings.ContainsRune(flags, 'f'), nil
}

// umountArguments reads what umount(8) gives its helpers:
// MOUNTPOINT [-nlfvr] [-N namespace] [-t type].
func umountArguments(argv []string) (args []string, done bool, err error) {
	flags, operands, _, err := helperFlags(argv, "Nt")
	if err != nil {
		return nil, false, usage(err)
	}
	if len(operands) != 1 {
		return nil, false, usage(fmt.Errorf("called by umount with %d operands, need a mount point", len(operands)))
	}
	args = []string{"umount"}
	if strings.ContainsAny(flags, "lf") {
		args = append(args, "--lazy")
	}
	return append(args, "--", operands[0]), false, nil
}

// helperFlags is getopt(3) with operands and flags in any order.
func helperFlags(argv []string, withValue string) (flags string, operands []string, values map[rune][]string, err error) {
	values = map[rune][]string{}
	for i := 0; i < len(argv); i++ {
		arg := argv[i]
		if len(arg) < 2 || arg[0] != '-' {
			operands = append(operands, arg)
			continue
		}
		for j, c := range arg[1:] {
			if !strings.ContainsRune(withValue, c) {
				flags += string(c)
				continue
			}
			value := arg[j+2:]
			if value == "" {
				if i++; i >= len(argv) {
					return "", nil, nil, fmt.Errorf("-%c needs a value", c)
				}
				value = argv[i]
			}
			values[c] = append(values[c], value)
			break
		}
	}
	return flags, operands, values, nil
}
