package host

import (
	"fardel/site"
	"fardel/site/journal"
)

// proveEntry makes the trust entry of one entry of a log, under the checkpoint
// that is held.
func (v *View) proveEntry(id site.LogID, index int64) ([]byte, error) {
	head, err := v.Head(id)
	if err != nil {
		return nil, err
	}
	line, err := v.Entry(id, index)
	if err != nil {
		return nil, err
	}
	hashes, err := journal.Prove(v.Tree(id), head.Edge.Size, index)
	if err != nil {
		return nil, err
	}
	t := journal.TrustEntry{Line: line, Proof: journal.Proof{Index: index, Hashes: hashes, Checkpoint: head.Checkpoint}}
	return t.Encode()
}
