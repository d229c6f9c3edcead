package replicator_test

import "fardel/replicator"

type replicatorT = replicator.Replicator
