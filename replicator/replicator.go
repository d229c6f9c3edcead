package replicator

import (
	"fmt"
	"os"
	"runtime"
	"slices"

	"fardel/media"
	"fardel/site"
	"fardel/site/host"
)

// A Carry says what a parcel to a site builds on.
type Carry string

// The ways to carry.
const (
	CarryAll     Carry = "all"     // everything that no receipt has confirmed: a lost medium heals with the next
	CarryLean    Carry = "lean"    // only what no earlier parcel carried
	CarryAssumed Carry = "assumed" // for routes without receipts: what k parcels have carried counts as arrived
)

// A Route is how parcels to one site are made.
type Route struct {
	Carry    Carry       // empty: all
	After    int64       // for assumed: the k above; 0 means 3
	Baseline int64       // for assumed: every so many parcels everything is carried again; 0 means 12
	Codec    media.Codec // of bundles; empty: the package's or the default
}

// Options say how parcels are made and taken in. The zero value is fit for use.
type Options struct {
	Codec       media.Codec              // of bundles without a codec of their own; empty: [DefaultCodec]
	BundleBytes int64                    // content that goes into one bundle, before compression
	CacheBytes  int64                    // sealed bundles that the outbox keeps; 0 means 20 % of the volume
	RelayBytes  int64                    // parcels of others that wait here; 0 means 20 % of the volume
	Receipts    string                   // medium, network, code or never
	Route       func(to site.Code) Route // nil: CarryAll for all
	Workers     int                      // 0: one per processor, up to four: each takes 12 MiB and more
	Progress    host.Progress
}

// DefaultCodec is the codec of bundles. docs/performance.md says why.
const DefaultCodec = media.Zstd

// Limits on one bundle: a batch of the library takes one, and one bundle is the
// most that an interrupted import has to read again.
const (
	bundleBytes = 256 << 20
	bundleFiles = 10_000
)

// A Replicator plans, packs and takes in parcels for one open site.
type Replicator struct {
	host  *host.Host
	opts  Options
	held  heldCache
	wants *host.Wants // what was missing when the logs were last settled

	sealing, importing job
}

// New returns a replicator for the site.
func New(h *host.Host, opts Options) (*Replicator, error) {
	if opts.Codec == "" {
		opts.Codec = DefaultCodec
	}
	if opts.BundleBytes <= 0 || opts.BundleBytes > bundleBytes {
		opts.BundleBytes = bundleBytes
	}
	if opts.Receipts == "" {
		opts.Receipts = "medium"
	}
	if opts.Workers <= 0 {
		opts.Workers = min(runtime.GOMAXPROCS(0), 4)
	}
	if opts.Route == nil {
		opts.Route = func(site.Code) Route { return Route{} }
	}
	if opts.Progress == nil {
		opts.Progress = func(string, int64, int64) {}
	}
	for _, dir := range []string{"outbox/bundles", "outbox/parcels", "inbox", "relay"} {
		if err := os.MkdirAll(h.Path(dir), 0o700); err != nil {
			return nil, fmt.Errorf("the state folder: %w", err)
		}
	}
	r := &Replicator{host: h, opts: opts, sealing: job{name: "Sealing", tell: opts.Progress}, importing: job{name: "Importing", tell: opts.Progress}}
	return r, r.sweep()
}

func (r *Replicator) route(to site.Code) Route {
	rt := r.opts.Route(to)
	if rt.Carry == "" {
		rt.Carry = CarryAll
	}
	if rt.After <= 0 {
		rt.After = 3
	}
	if rt.Baseline <= 0 {
		rt.Baseline = 12
	}
	return rt
}

// codecFor chooses the codec of a package's bundles: the export's, else the
// route's, else the package's, else the default, if the destination reads it.
func (r *Replicator) codecFor(p *host.Package, rt Route, link host.Link) media.Codec {
	for _, c := range []media.Codec{rt.Codec, media.Codec(p.Codec), r.opts.Codec} {
		if c != "" && (len(link.Codecs) == 0 || slices.Contains(link.Codecs, string(c))) {
			return c
		}
	}
	return media.XZ // every version reads it
}
