package courier

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"fardel/media"
	"fardel/site"
)

// Progress is told how far a job has come: what it works on, and how many bytes
// of how many are done. It may be nil.
type Progress func(name string, done, total int64)

// Write brings the load onto the medium at path: into the folder FARDEL/FROM,
// and nowhere else, save for a README that is not there yet. A load for several
// media is cut with [Load.On] before.
//
// The space is checked first. Each file is written under another name, made
// durable, and renamed; labels come last. What is there already with the right
// digest stays as it is, so that a second run finishes what a first one began.
//
// It fails with site.NoSpace before anything is written if the medium is too
// small, with site.MediumGone if it was pulled out, and with site.Damaged if a
// source file is not what the load says, or if something that is no file of
// ours is in the way.
func Write(ctx context.Context, path string, load Load, progress Progress) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return noMedium(path, err)
	}
	defer root.Close()
	d := newDisk(root)
	defer d.Close()
	return writeTo(ctx, path, root, d, load, progress)
}

func writeTo(ctx context.Context, path string, root *os.Root, f files, load Load, progress Progress) error {
	if err := load.check(); err != nil {
		return err
	}
	w := &writer{ctx: ctx, path: path, files: f, load: load, own: media.Dir(load.From),
		look: newCarrier(path, root), progress: progress, folders: map[string]folder{}}
	defer w.close()
	w.total = load.Bytes()
	if err := w.survey(); err != nil {
		return err
	}
	if err := w.checkRoom(); err != nil {
		return err
	}
	if err := w.prepare(); err != nil {
		return w.explain(err, "preparing", w.own)
	}
	return w.run()
}

// A writer is one call of Write.
type writer struct {
	ctx      context.Context
	path     string // of the medium
	files    files  // all changes go through it
	look     *Carrier
	load     Load
	own      string // FARDEL/FROM
	progress Progress
	folders  map[string]folder

	done, total int64
	missing     map[string]bool // items that have to be written, by name
	parts       []File          // left by a run that was cut off; full names
	sums        []byte
	sumsMissing bool
	readme      bool // to be written
}

func (w *writer) close() {
	for _, f := range w.folders {
		f.Close()
	}
	w.look.drop()
}

func (w *writer) explain(err error, verb, name string) error {
	if errors.Is(err, errLink) || errors.Is(err, errKind) || errors.Is(err, errNotDir) || errors.Is(err, errCrowded) {
		return foreign(w.path, name, err)
	}
	return explain(err, w.path, w.look.root, verb, name)
}

// survey finds out what is there. It changes nothing.
func (w *writer) survey() error {
	w.missing = map[string]bool{}
	for _, it := range w.load.Items() {
		there, err := w.there(it)
		if err != nil {
			return err
		}
		if there {
			w.tell(it.Name, it.Size)
		} else {
			w.missing[it.Name] = true
		}
	}
	if err := w.findParts(); err != nil {
		return err
	}
	if err := w.planSums(); err != nil {
		return w.explain(err, "reading", media.SumsName)
	}
	r, err := w.look.folder(media.Top)
	if err == nil {
		_, err = r.Lstat(media.ReadmeName)
	}
	w.readme = errors.Is(err, fs.ErrNotExist)
	if err != nil && !w.readme {
		return w.explain(err, "reading", media.Top)
	}
	return nil
}

func (w *writer) ownFolders() []string {
	dirs := []string{w.own}
	for _, k := range kinds {
		dirs = append(dirs, w.own+"/"+k)
	}
	return dirs
}

// there reports whether the medium holds the item already. A file that cannot
// be read is written anew.
func (w *writer) there(it Item) (bool, error) {
	dir, base, _ := splitName(it.Name)
	f, size, err := w.look.open(w.own+"/"+dir, base)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, w.explain(err, "opening", it.Name)
	}
	defer f.Close()
	if size != it.Size {
		return false, nil
	}
	sum := media.NewSum()
	_, err = io.Copy(sum, w.reader(io.LimitReader(f, size)))
	if w.ctx.Err() != nil {
		return false, w.explain(w.ctx.Err(), "reading", it.Name)
	}
	return err == nil && sum.Is(it.Digest, size), nil
}

// findParts looks for what a run that was cut off has left: in the own folders,
// and beside them, where a README may be half written.
func (w *writer) findParts() error {
	for _, dir := range append([]string{media.Top}, w.ownFolders()...) {
		if err := w.findPartsIn(dir); err != nil {
			return w.explain(err, "reading", dir)
		}
	}
	return nil
}

func (w *writer) findPartsIn(dir string) error {
	r, err := w.look.folder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	found, err := entries(r)
	if err != nil {
		return err
	}
	for _, e := range found {
		if !strings.HasPrefix(e.Name(), media.PartPrefix) || e.IsDir() {
			continue
		}
		info, err := r.Lstat(e.Name())
		if err != nil {
			return err
		}
		w.parts = append(w.parts, File{dir + "/" + e.Name(), info.Size()})
	}
	return nil
}

// planSums makes the new SHA256SUMS: the lines of the load, and the old lines of
// files that are still there. An old file that is not ours is replaced.
func (w *writer) planSums() error {
	old, was, err := readSums(w.look, w.own)
	if err != nil {
		return err
	}
	next := sums{}
	for name, d := range old {
		dir, base, _ := splitName(name)
		r, err := w.look.folder(w.own + "/" + dir)
		if err != nil {
			continue
		}
		if _, err := r.Lstat(base); err == nil {
			next[name] = d
		}
	}
	for _, it := range w.load.Items() {
		next[it.Name] = it.Digest
	}
	w.sums = next.text()
	w.sumsMissing = string(was) != string(w.sums)
	return nil
}

// readSums returns a writer's SHA256SUMS, parsed and as it is. An absent one is
// empty, and so is one that is not in our spelling.
func readSums(c *Carrier, own string) (sums, []byte, error) {
	f, size, err := c.open(own, media.SumsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if size > maxSums {
		return nil, nil, nil
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(f, text); err != nil {
		return nil, nil, nil
	}
	s, err := parseSums(text)
	if err != nil {
		return nil, text, nil
	}
	return s, text, nil
}

// checkRoom refuses a medium that is too small or cannot be written to. What a
// run that was cut off has left counts as free: it goes first.
func (w *writer) checkRoom() error {
	have, err := roomOf(w.path)
	if err != nil {
		return w.explain(err, "measuring", w.path)
	}
	need := int64(0)
	for _, it := range w.load.Items() {
		if w.missing[it.Name] {
			need += rounded(have.cluster, it.Size)
		}
	}
	if w.sumsMissing {
		need += rounded(have.cluster, int64(len(w.sums)))
	}
	if need == 0 && !w.readme {
		return nil
	}
	if have.readOnly {
		return site.Failed.New("%s is write-protected", w.path).In("Nothing was written").
			Then("Move the switch on the medium or mount it for writing, and run again")
	}
	need += overhead(have.cluster)
	free := have.free
	for _, p := range w.parts {
		free += p.Size
	}
	if free = min(free, have.size); free < need {
		return site.NoSpace.New("%s has %s free; %s are needed", w.path, human(free), human(need)).
			In("Nothing was written").
			Then("Free %s on it, or take a larger one", human(need-free)).
			Then("Spread the export over several media with --volume-size")
	}
	return nil
}

// prepare makes the folders and takes away what must not be there.
func (w *writer) prepare() error {
	dirs := append([]string{".", media.Top}, w.ownFolders()...)
	for _, dir := range dirs {
		f, err := w.files.Folder(dir)
		if err != nil {
			return err
		}
		w.folders[dir] = f
	}
	for _, dir := range []string{".", media.Top, w.own} {
		if err := w.folders[dir].Sync(); err != nil {
			return err
		}
	}
	if err := w.sweep(); err != nil {
		return err
	}
	return w.withdraw()
}

// sweep deletes what findParts has found.
func (w *writer) sweep() error {
	for _, p := range w.parts {
		if err := w.files.Remove(p.Name); err != nil {
			return err
		}
	}
	return nil
}

// withdraw takes away labels of the load that are there, if other files of the
// load are not.
func (w *writer) withdraw() error {
	whole := true
	for _, it := range w.load.Items() {
		if !isLabel(it.Name) {
			whole = whole && !w.missing[it.Name]
		}
	}
	if whole {
		return nil
	}
	taken := false
	for _, it := range w.load.Labels {
		if w.missing[it.Name] {
			continue
		}
		if err := w.files.Remove(w.own + "/" + it.Name); err != nil {
			return err
		}
		w.missing[it.Name], taken = true, true
		w.total += it.Size
	}
	if !taken {
		return nil
	}
	return w.folders[w.own+"/"+media.LabelsDir].Sync()
}

// run writes what is missing, in the order that the format demands.
func (w *writer) run() error {
	for _, part := range [][]Item{w.load.Trust, w.load.Bundles, w.load.Bodies} {
		if err := w.putAll(part); err != nil {
			return err
		}
	}
	if w.sumsMissing {
		if err := w.put(w.own, NewItem(media.SumsName, w.sums)); err != nil {
			return err
		}
	}
	if w.readme {
		if err := w.put(media.Top, NewItem(media.ReadmeName, []byte(media.Readme))); err != nil {
			return err
		}
	}
	// A file from a run that was cut off may have its name in memory only.
	for _, dir := range w.ownFolders() {
		if err := w.folders[dir].Sync(); err != nil {
			return w.explain(err, "writing", dir)
		}
	}
	if err := w.putAll(w.load.Labels); err != nil {
		return err
	}
	// Unmounted behind our back, a medium goes on taking what nobody will find.
	if !still(w.look.root, w.path) {
		return w.explain(errChanged, "writing", w.own)
	}
	return nil
}

func (w *writer) putAll(items []Item) error {
	for _, it := range items {
		if !w.missing[it.Name] {
			continue
		}
		if err := w.put(w.own, it); err != nil {
			return err
		}
	}
	return nil
}

// put is the one place where a file comes into being on a medium: written under
// another name, synced, renamed, and its folder synced.
func (w *writer) put(dir string, it Item) error {
	name := dir + "/" + it.Name
	part := partName(name)
	err := w.fill(part, it)
	if err == nil {
		err = w.files.Rename(part, name)
	}
	if err != nil {
		w.files.Remove(part) // as far as that still goes; the next run sweeps
		return w.explain(err, "writing", it.Name)
	}
	parent := name[:strings.LastIndexByte(name, '/')]
	if err := w.folders[parent].Sync(); err != nil {
		return w.explain(err, "writing", it.Name)
	}
	return nil
}

// fill writes the item's bytes into a new file and makes them durable.
func (w *writer) fill(part string, it Item) error {
	src, err := it.open()
	if err != nil {
		return source(it, err)
	}
	defer src.Close()
	out, err := w.files.Create(part)
	if err != nil {
		return err
	}
	sum := media.NewSum()
	err = w.copy(out, sum, src, it)
	if err == nil {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err == nil && sum.Digest() != it.Digest {
		return site.Damaged.New("%s on this site is not what it should be", it.Name).
			In("Nothing of it is visible on %s", w.path).Then("Export again")
	}
	return err
}

// copyChunk is how much is read and written at once, and how long a person who
// interrupts has to wait.
const copyChunk = 1 << 20

func (w *writer) copy(out io.Writer, sum io.Writer, src io.Reader, it Item) error {
	buf := make([]byte, min(copyChunk, it.Size+1))
	var n int64
	for {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		got, rerr := src.Read(buf)
		n += int64(got)
		if n > it.Size || rerr == io.EOF && n < it.Size {
			return site.Damaged.New("%s on this site has another size than it should have", it.Name).
				In("Nothing of it is visible on %s", w.path).Then("Export again")
		}
		sum.Write(buf[:got])
		if got > 0 {
			if _, err := out.Write(buf[:got]); err != nil {
				return err
			}
			w.tell(it.Name, int64(got))
		}
		if rerr == io.EOF {
			return nil
		}
		if rerr != nil {
			return source(it, rerr)
		}
	}
}

func (w *writer) tell(name string, n int64) {
	w.done += n
	if w.progress != nil && strings.Contains(name, "/") { // neither SHA256SUMS nor README
		w.progress(name, min(w.done, w.total), w.total)
	}
}

// reader makes reading stop when the job is called off.
func (w *writer) reader(r io.Reader) io.Reader { return &interruptible{w.ctx, r} }

type interruptible struct {
	ctx context.Context
	r   io.Reader
}

// Read implements [io.Reader].
func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

// source is the fault for a local file that cannot be read: not the medium's.
func source(it Item, err error) error {
	return site.Failed.New("%s cannot be read on this site: %s", it.Name, reason(err)).
		In("What can be seen on the medium is complete").Because(err)
}
