package replicator_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"fardel/courier"
	"fardel/fixtures/world"
	"fardel/media"
	"fardel/replicator"
	"fardel/site"
	"fardel/site/charter"
	"fardel/site/host"
	"fardel/site/journal"
)

// What follows makes parcels as an attacker would: by hand, from the formats
// alone, with any keys and any contents.

// A history is a log as somebody tells it.
type history struct {
	site.LogID
	epoch      int64
	from       int64    // how many of the lines are not sent
	lines      [][]byte // from the first entry on
	checkpoint []byte
}

// historyOf copies a log as a site holds it, with its true checkpoint.
func historyOf(w *world.World, at site.Code, id site.LogID) history {
	w.Helper()
	out := history{LogID: id}
	w.At(at, func(h *host.Host) {
		must(w, h.View(func(v *host.View) error {
			head, err := v.Head(id)
			if err != nil {
				return err
			}
			out.epoch, out.checkpoint = head.Epoch, head.Checkpoint
			return v.Lines(id, 0, head.Edge.Size, func(_ int64, line []byte) error {
				out.lines = append(out.lines, slices.Clone(line))
				return nil
			})
		}))
	})
	return out
}

// with adds entries, without signing them.
func (h history) with(entries ...site.Entry) history {
	h.lines = slices.Clone(h.lines)
	for _, e := range entries {
		line, err := e.Line()
		if err != nil {
			panic(err)
		}
		h.lines = append(h.lines, line)
	}
	return h
}

// sent leaves out the first entries.
func (h history) sent(from int64) history { h.from = from; return h }

// signed puts a checkpoint of the lines on the history, by whatever key.
func (h history) signed(hierarchy string, by note.Signer) history {
	h.checkpoint = signText(journal.Checkpoint{
		Origin: journal.Origin{Hierarchy: hierarchy, LogID: h.LogID, Epoch: h.epoch}, Size: int64(len(h.lines)), Root: h.root(int64(len(h.lines))),
	}.Text(), by)
	return h
}

// signText signs as the note format allows it, where the house's own functions
// refuse a key that bears another name.
func signText(text []byte, by note.Signer) []byte {
	msg, err := note.Sign(&note.Note{Text: string(text)}, by)
	if err != nil {
		panic(err)
	}
	return msg
}

// inTheNameOf returns a key that somebody has made for himself and given the
// name of another site.
func inTheNameOf(w *world.World, code site.Code) note.Signer {
	w.Helper()
	k, err := charter.Generate(hierarchyOf(w), code, charter.X25519)
	must(w, err)
	return k.Signer()
}

func (h history) root(size int64) journal.Hash {
	var edge journal.Edge
	for _, l := range h.lines[:size] {
		edge.Append(journal.LeafHash(l))
	}
	return edge.Root()
}

func (h history) position() site.LogPosition {
	n := int64(len(h.lines))
	return site.LogPosition{LogID: h.LogID, Position: site.Position{Epoch: h.epoch, Size: n, Root: site.Digest(h.root(n))}}
}

// A forged parcel is what an attacker wants a site to take in. What is left
// zero is filled with what an honest parcel would have.
type forged struct {
	w         *world.World
	from, to  site.Code
	number    int64
	after     int64
	created   time.Time
	hierarchy string
	signer    note.Signer // of the label; nil: the key of from
	sealed    string      // recipient; empty: the key of to
	head      *media.BodyHead
	receipt   media.Receipt
	logs      []history
	bundles   []media.Bundle
	keys      []media.BodyBundle
	body      []byte            // instead of one that is made here
	files     map[string][]byte // more files, below FARDEL/FROM
}

func (f forged) label() media.Label {
	if f.hierarchy == "" {
		f.hierarchy = hierarchyOf(f.w)
	}
	if f.created.IsZero() {
		f.created = f.w.Clock
	}
	return media.Label{Hierarchy: f.hierarchy, From: f.from, To: f.to, Number: f.number, After: f.after,
		Created: f.created.Truncate(time.Second), Needs: media.FormatVersion, Priority: site.PriorityMedium, Media: 1, Bundles: f.bundles}
}

// write puts the parcel onto a medium, in the folder of its sender.
func (f forged) write(medium string) {
	f.w.Helper()
	l := f.label()
	if f.signer == nil {
		f.signer = keysOf(f.w, f.from).Signer()
	}
	body := f.body
	if body == nil {
		body = f.seal(l)
	}
	l.Body = media.File{Digest: site.DigestOf(body), Size: int64(len(body))}
	text, err := l.Text()
	must(f.w, err)
	msg := signText(text, f.signer)
	put(f.w, medium, f.from, media.BodyPath(l.Name()), body)
	put(f.w, medium, f.from, media.LabelPath(l.Name()), msg)
	for name, data := range f.files {
		put(f.w, medium, f.from, name, data)
	}
}

func (f forged) seal(l media.Label) []byte {
	f.w.Helper()
	if f.sealed == "" {
		f.sealed = keysOf(f.w, f.to).Recipient()
	}
	to, err := media.ParseRecipient(f.sealed)
	must(f.w, err)
	head := media.BodyHead{Hierarchy: l.Hierarchy, From: l.From, To: l.To, Number: l.Number, After: l.After, Created: l.Created,
		Speaks: media.Speaks{Format: 1, Codecs: []string{"xz", "zstd"}}, Receipts: "medium"}
	if f.head != nil {
		head = *f.head
	}
	var out strings.Builder
	sealed, err := media.SealBody(&out, to)
	must(f.w, err)
	b := media.NewBodyWriter(sealed)
	must(f.w, b.Head(head))
	must(f.w, b.Receipt(f.receipt))
	for _, h := range f.logs {
		must(f.w, b.Log(media.BodyLog{LogID: h.LogID, Epoch: h.epoch, From: h.from, Count: int64(len(h.lines)) - h.from, Checkpoint: h.checkpoint}, each(h.lines[h.from:])))
	}
	for _, k := range f.keys {
		must(f.w, b.Bundle(k))
	}
	must(f.w, errors.Join(b.Close(), sealed.Close()))
	return []byte(out.String())
}

func each(lines [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// put writes one file onto a medium.
func put(w *world.World, medium string, writer site.Code, name string, data []byte) {
	w.Helper()
	path := onMedium(w, medium, writer, name)
	must(w, os.MkdirAll(filepath.Dir(path), 0o755))
	must(w, os.WriteFile(path, data, 0o644))
}

func onMedium(w *world.World, medium string, writer site.Code, name string) string {
	return filepath.Join(w.Medium(medium), filepath.FromSlash(media.Dir(writer)), filepath.FromSlash(name))
}

// keysOf returns a site's keys: what an attacker has who has taken it over.
func keysOf(w *world.World, code site.Code) (k *charter.Keys) {
	w.Helper()
	files := map[string][]byte{}
	names, err := os.ReadDir(filepath.Join(w.State(code), "keys"))
	must(w, err)
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(w.State(code), "keys", n.Name()))
		must(w, err)
		files[n.Name()] = b
	}
	k, err = charter.ParseKeys(files)
	must(w, err)
	return k
}

func hierarchyOf(w *world.World) string { return keysOf(w, "HQ0").Hierarchy() }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// entry makes an entry; the body is any value.
func entry(w *world.World, kind site.Kind, id string, body any) site.Entry {
	w.Helper()
	e, err := site.NewEntry(w.Clock, kind, id, body)
	must(w, err)
	return e
}

// A picture is what an attacker would want to change at a site.
type picture struct {
	logs     map[site.LogID]site.Position // without the site's own observations
	packages string
	sites    string
	fenced   bool
}

// look takes a picture of a site.
func look(w *world.World, at site.Code) (p picture) {
	w.Helper()
	w.At(at, func(h *host.Host) { p = lookAt(w, h) })
	return p
}

func lookAt(w *world.World, h *host.Host) picture {
	w.Helper()
	p := picture{logs: map[site.LogID]site.Position{}}
	must(w, h.View(func(v *host.View) error {
		logs, err := v.Logs()
		if err != nil {
			return err
		}
		for _, l := range logs {
			if l.LogID != h.Own(site.Observations) {
				p.logs[l.LogID] = l.Position
			}
		}
		list, err := v.Packages()
		if err != nil {
			return err
		}
		for _, pkg := range list {
			c, err := v.Content(pkg.ID)
			if err != nil {
				return err
			}
			p.packages += fmt.Sprintf("%s %+v %v %s\n", pkg.ID, pkg.PackageBody, pkg.Targets, c.Describe())
		}
		for _, code := range slices.Sorted(maps.Keys(v.Hier.Sites)) {
			body, err := site.Canonical(v.Hier.Sites[code].SiteBody)
			if err != nil {
				return err
			}
			p.sites += fmt.Sprintf("%s %x\n", code, sha256.Sum256(body))
		}
		_, p.fenced, err = v.Fenced()
		return err
	}))
	return p
}

func (p picture) equal(q picture) bool {
	return maps.Equal(p.logs, q.logs) && p.packages == q.packages && p.sites == q.sites && p.fenced == q.fenced
}

// refused demands that an import ended with a fault of the class whose sentence
// holds the words.
func refused(t testing.TB, rep *replicator.Report, err error, class *site.Class, words string) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted: %+v", rep.Parcels)
	}
	f := site.AsFault(err)
	if f.Class != class {
		t.Fatalf("fault of class %s (%v), want %s", f.Class.Name(), f, class.Name())
	}
	if !strings.Contains(f.Error(), words) {
		t.Fatalf("the sentence %q does not hold %q", f.Error(), words)
	}
}

// alarms returns what a site has raised alarms about.
func alarms(w *world.World, at site.Code) (out []string) {
	w.Helper()
	w.At(at, func(h *host.Host) {
		must(w, h.View(func(v *host.View) error {
			return v.Objects(h.Own(site.Observations), site.KindAlarm, func(e site.Entry, _ int64) error {
				var b site.AlarmBody
				err := e.Decode(&b)
				out = append(out, b.About+": "+b.Text)
				return err
			})
		}))
	})
	return out
}

// copyDir copies a folder with all that is in it.
func copyDir(t testing.TB, dst, src string) {
	t.Helper()
	must(t, os.RemoveAll(dst))
	must(t, filepath.WalkDir(src, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, p)
		if err != nil {
			return err
		}
		to := filepath.Join(dst, rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		return copyFile(to, p)
	}))
}

func copyFile(dst, src string) error {
	b, err := os.ReadFile(src)
	if err != nil {
		return err
	}
	info, err := os.Stat(src)
	if err != nil {
		return err
	}
	return os.WriteFile(dst, b, info.Mode().Perm())
}

// importWith imports with options that world's own import does not have.
func importWith(w *world.World, at site.Code, c replicator.Carrier, opts replicator.ImportOptions) (rep *replicator.Report, err error) {
	w.Helper()
	w.With(at, func(_ *host.Host, r *replicator.Replicator) {
		rep, err = r.Import(context.Background(), c, opts)
	})
	return rep, err
}

func line(t testing.TB, e site.Entry) []byte {
	t.Helper()
	b, err := e.Line()
	must(t, err)
	return b
}

// openMedium opens a medium for one test.
func openMedium(w *world.World, medium string) replicator.Carrier {
	w.Helper()
	c, err := courier.OpenCarrier(w.Medium(medium))
	must(w, err)
	w.Cleanup(func() { must(w, c.Close()) })
	return world.Carrier{Carrier: c}
}

func identities(w *world.World, code site.Code) []age.Identity {
	w.Helper()
	return []age.Identity{keysOf(w, code).Identity()}
}

var dryRun = replicator.ImportOptions{DryRun: true}
