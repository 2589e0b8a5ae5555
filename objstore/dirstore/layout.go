package dirstore

// layout foretells where parts begin, from the sizes seen so far. Parts mostly
// come nearly in order, so only those beyond the first gap are looked at.
type layout struct {
	front int           // parts 1 to front have a known size
	end   int64         // the sum of those
	known map[int]int64 // sizes of all parts
}

// set tells the size of part n.
func (l *layout) set(n int, size int64) {
	if l.known == nil {
		l.known = map[int]int64{}
	}
	if n <= l.front {
		l.end += size - l.known[n]
	}
	l.known[n] = size
	for {
		next, ok := l.known[l.front+1]
		if !ok {
			return
		}
		l.front++
		l.end += next
	}
}

// offset is where part n probably begins, if the parts that are still unknown
// before it have its size.
func (l *layout) offset(n int, size int64) int64 {
	if n <= l.front {
		off := l.end
		for i := n; i <= l.front; i++ {
			off -= l.known[i]
		}
		return off
	}
	off := l.end
	for i := l.front + 1; i < n; i++ {
		if s, ok := l.known[i]; ok {
			off += s
		} else {
			off += size
		}
	}
	return off
}
