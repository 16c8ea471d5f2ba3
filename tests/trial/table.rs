//! Tables as trials print them: no lines, numbers to the right.

use comfy_table::{CellAlignment, Table, presets};

/// An empty table with these headings.
pub(crate) fn plain_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().copied());
    table
}

/// Sets all columns from this one on to the right.
pub(crate) fn right_from(table: &mut Table, column: usize) {
    for column in table.column_iter_mut().skip(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
