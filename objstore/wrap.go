package objstore

// FullStore is a wrapper of a Store with every optional interface.
type FullStore interface {
	Store
	Renamer
	Cleaner
}

// FullUpload is a wrapper of an Upload with every optional interface.
type FullUpload interface {
	Upload
	PartCopier
	LateMetadata
	LateSHA256
}

// LikeStore returns w with only those optional interfaces that inner has, so
// that a type assertion on a wrapper tells the truth about what it wraps.
func LikeStore(w FullStore, inner Store) Store {
	_, renames := inner.(Renamer)
	_, cleans := inner.(Cleaner)
	switch {
	case renames && cleans:
		return w
	case renames:
		return struct {
			Store
			Renamer
		}{w, w}
	case cleans:
		return struct {
			Store
			Cleaner
		}{w, w}
	}
	return struct{ Store }{w}
}

// LikeUpload is LikeStore for an Upload.
func LikeUpload(w FullUpload, inner Upload) Upload {
	_, copies := inner.(PartCopier)
	_, late := inner.(LateMetadata)
	_, sums := inner.(LateSHA256) // and not late
	switch {
	case copies && late:
		return struct {
			Upload
			PartCopier
			LateMetadata
		}{w, w, w}
	case copies && sums:
		return struct {
			Upload
			PartCopier
			LateSHA256
		}{w, w, w}
	case copies:
		return struct {
			Upload
			PartCopier
		}{w, w}
	case sums:
		return struct {
			Upload
			LateSHA256
		}{w, w}
	case late:
		return struct {
			Upload
			LateMetadata
		}{w, w}
	}
	return struct{ Upload }{w}
}
