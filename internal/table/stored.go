// SPDX-License-Identifier: Apache-2.0

package table

// StoredRows is the prefix of the keys of all rows in a store. They are all that
// a copy of the tables needs: what else is below "/postern/v1/" is made again as
// rows are written.
const StoredRows = rowPrefix
