//! Which form the name of a file asks for.

use std::path::Path;

use crate::out::Stop;

/// The form of the first ending that fits; none where the name has no ending. One that is no form is an error.
pub(super) fn form_of<F: Copy>(path: Option<&Path>, endings: &[(&str, F)]) -> Result<Option<F>, Stop> {
    let Some(path) = path else { return Ok(None) };
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    if let Some((_, form)) = endings.iter().find(|(ending, _)| name.ends_with(ending)) {
        return Ok(Some(*form));
    }
    let Some(own) = path.extension() else { return Ok(None) };
    let known: Vec<&str> = endings.iter().map(|(ending, _)| *ending).collect();
    let stop = Stop::usage(format!("{}: `.{}` is no form", path.display(), own.to_string_lossy()));
    Err(stop.hint(format!("the name can end in {}; `--as FORM` says the form whatever the name is", known.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ending_that_fits_says_the_form_and_one_that_is_none_is_an_error() {
        let endings = [(".cdx.json", 1), (".json", 2), (".html", 3)];
        for (name, form) in [
            ("a/x.cdx.json", Some(1)),
            ("x.json", Some(2)),
            ("X.HTML", Some(3)),
            ("out.d/x", None),
            ("/dev/stdout", None),
        ] {
            assert_eq!(form_of(Some(Path::new(name)), &endings).ok(), Some(form), "{name}");
        }
        assert_eq!(form_of(None, &endings).ok(), Some(None));
        let told = form_of(Some(Path::new("m.pdf")), &endings).unwrap_err();
        assert!(told.full_text().contains("m.pdf: `.pdf` is no form"), "{}", told.full_text());
    }
}
