package listen

import (
	"net/http"
	"runtime/pprof"
	"strconv"
	"time"
)

// serveProfile answers as net/http/pprof does. That package puts itself on the
// default mux of whoever imports it.
func serveProfile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if name == "profile" {
		serveCPU(w, r)
		return
	}
	p := pprof.Lookup(name)
	if p == nil {
		http.Error(w, "there is no such profile: use profile (CPU), heap, goroutine, allocs, block or mutex", http.StatusNotFound)
		return
	}
	debug, _ := strconv.Atoi(r.FormValue("debug"))
	if debug == 0 {
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	p.WriteTo(w, debug)
}

// maxProfile bounds how long the CPU may be watched.
const maxProfile = 5 * time.Minute

func serveCPU(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.ParseFloat(r.FormValue("seconds"), 64)
	if err != nil || seconds <= 0 {
		seconds = 30
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := pprof.StartCPUProfile(w); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	defer pprof.StopCPUProfile()
	select {
	case <-time.After(min(time.Duration(seconds*float64(time.Second)), maxProfile)):
	case <-r.Context().Done():
	}
}
