// SPDX-License-Identifier: Apache-2.0

// Package repotest holds the house rules of this repository as tests: sizes of
// files and functions, documented names, names that packages must not have,
// which layer may import which, licence lines, and text that has no place here.
// It has no code besides its tests.
package repotest
