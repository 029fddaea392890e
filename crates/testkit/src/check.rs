//! Checks that say where they are and what they saw.

/// Fails the test unless the condition holds; more arguments are the message.
#[macro_export]
macro_rules! check {
    ($condition:expr $(,)?) => {
        $crate::check!($condition, "it does not hold")
    };
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::failure(
                concat!(file!(), ":", line!(), ": ", stringify!($condition)),
                &format!($($message)+),
            ));
        }
    };
}

/// Fails the test unless both are equal.
#[macro_export]
macro_rules! check_eq {
    ($seen:expr, $expected:expr $(,)?) => {
        match (&$seen, &$expected) {
            (seen, expected) => {
                $crate::check!(
                    *seen == *expected,
                    "\n  seen:     {seen:?}\n  expected: {expected:?}"
                );
            }
        }
    };
}

/// Fails the test unless the text contains each of the words.
#[macro_export]
macro_rules! check_has {
    ($text:expr, $($word:expr),+ $(,)?) => {
        $({
            let (text, word): (&str, &str) = (&$text, &$word);
            $crate::check!(text.contains(word), "no {word:?} in {text:?}");
        })+
    };
}

/// Ends the test as skipped unless the condition holds.
#[macro_export]
macro_rules! need {
    ($condition:expr, $($reason:tt)+) => {
        if !$condition {
            return Ok($crate::Verdict::Skipped(format!($($reason)+)));
        }
    };
}

/// A table of tests from the functions' names.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        &[$((stringify!($name), $name as $crate::TestFn)),*]
    };
}

/// What a check that does not hold returns.
#[doc(hidden)]
pub fn failure(check: &str, message: &str) -> anyhow::Error {
    anyhow::anyhow!("{check}: {message}")
}
