package mountopts

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

var errSize = errors.New("must be a size such as 256M, 1GiB or 4096")

// ParseSize reads a size in bytes. K, M, G, T, P, E and KiB, MiB, ... are powers
// of 1024; KB, MB, ... are powers of 1000, as in dd(1). Upper and lower case
// are the same.
func ParseSize(s string) (int64, error) {
	digits := s
	if i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = s[:i]
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, errSize
	}
	unit, ok := sizeUnit(strings.ToLower(s[len(digits):]))
	if !ok {
		return 0, errSize
	}
	if n > math.MaxInt64/unit {
		return 0, errors.New("is larger than a size can be")
	}
	return n * unit, nil
}

func sizeUnit(suffix string) (int64, bool) {
	if suffix == "" || suffix == "b" {
		return 1, true
	}
	power := strings.IndexByte("kmgtpe", suffix[0]) + 1
	if power == 0 {
		return 0, false
	}
	base := int64(1024)
	switch suffix[1:] {
	case "", "i", "ib":
	case "b":
		base = 1000
	default:
		return 0, false
	}
	unit := int64(1)
	for range power {
		unit *= base
	}
	return unit, true
}

// FormatSize writes a size so that ParseSize reads the same number.
func FormatSize(n int64) string {
	units := []string{"", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := 0
	for i < len(units)-1 && n != 0 && n%1024 == 0 {
		n /= 1024
		i++
	}
	return strconv.FormatInt(n, 10) + units[i]
}
