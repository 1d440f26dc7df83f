use std::collections::HashMap;
use std::sync::OnceLock;

/// One labelled question about a made-up product: parcel lockers for offices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The question as a user would write it.
    pub text: &'static str,
    /// A correct answer.
    pub answer: &'static str,
    /// What every correct answer contains, in lower case; no answer to another question does.
    pub key: &'static str,
}

impl Question {
    /// The question that this text is or contains, with its place in the set.
    pub fn find(text: &str) -> Option<(usize, &'static Question)> {
        static BY_TEXT: OnceLock<HashMap<&'static str, usize>> = OnceLock::new();
        let by_text = BY_TEXT.get_or_init(|| questions().iter().enumerate().map(|(idx, q)| (q.text, idx)).collect());
        let found = by_text.get(text.trim()).copied();
        let idx = found.or_else(|| questions().iter().position(|question| text.contains(question.text)))?;
        Some((idx, &questions()[idx]))
    }

    /// Whether an answer is correct.
    pub fn is_answered_by(&self, content: &str) -> bool {
        content.to_lowercase().contains(self.key)
    }
}

/// The labelled set.
pub fn questions() -> &'static [Question] {
    QUESTIONS
}

const fn question(text: &'static str, answer: &'static str, key: &'static str) -> Question {
    Question { text, answer, key }
}

const QUESTIONS: &[Question] = &[
    question(
        "How do I open a compartment without my phone?",
        "Type the six-digit code from your e-mail on the keypad.",
        "six-digit code",
    ),
    question(
        "How long is a parcel kept in the locker?",
        "A parcel is kept for 72 hours, then it goes back to the desk.",
        "72 hours",
    ),
    question(
        "What is the largest parcel that fits?",
        "The largest compartment takes 60 by 40 by 38 centimetres.",
        "60 by 40 by 38",
    ),
    question(
        "Does the locker work during a power cut?",
        "Yes, the built-in battery runs it for eight hours.",
        "eight hours",
    ),
    question("How do I reset the keypad?", "Hold the hash key for ten seconds until it beeps twice.", "beeps twice"),
    question(
        "Which networks does the locker support?",
        "It connects by Ethernet or by LTE; there is no Wi-Fi.",
        "ethernet or by lte",
    ),
    question(
        "How many compartments does the small unit have?",
        "The small unit has 14 compartments.",
        "14 compartments",
    ),
    question(
        "How many compartments does the large unit have?",
        "The large unit has 38 compartments.",
        "38 compartments",
    ),
    question(
        "Can I put food in the locker?",
        "Only in the cooled compartments, which hold 4 degrees.",
        "cooled compartments",
    ),
    question("How do I add a new employee?", "Open People in the portal and choose Invite.", "choose invite"),
    question(
        "How do I remove an employee who left?",
        "Open People in the portal and choose Deactivate; open parcels go to the desk.",
        "choose deactivate",
    ),
    question("What does the red light mean?", "A red light means that a door did not close.", "did not close"),
    question(
        "What does the blue light mean?",
        "A blue light means that an update is being installed.",
        "update is being installed",
    ),
    question(
        "How long is the warranty?",
        "The warranty runs for three years from delivery.",
        "three years from delivery",
    ),
    question("Can I extend the warranty?", "Yes, to five years, within 90 days of delivery.", "within 90 days"),
    question("How much does the monthly plan cost?", "The monthly plan costs 49 euros per unit.", "49 euros"),
    question(
        "How much does the yearly plan cost?",
        "The yearly plan costs 490 euros per unit, two months are free.",
        "490 euros per",
    ),
    question(
        "How do I cancel my plan?",
        "Cancel in the portal under Billing, up to one day before renewal.",
        "one day before renewal",
    ),
    question("Where do I find my invoices?", "All invoices are in the portal under Billing, as PDF.", "as pdf"),
    question(
        "Which couriers can deliver?",
        "Every courier can deliver with the shared code on the door sticker.",
        "door sticker",
    ),
    question(
        "What happens when all compartments are full?",
        "The courier is asked to deliver to the desk and you get a message.",
        "asked to deliver to the desk",
    ),
    question(
        "Can two people share a delivery?",
        "Yes, forward the code from the app to one other person.",
        "forward the code",
    ),
    question(
        "How do I change the language of the screen?",
        "Press the globe on the start screen and pick a language.",
        "press the globe",
    ),
    question("How do I clean the locker?", "Use a damp cloth and no solvent; the seals would swell.", "damp cloth"),
    question(
        "What is the weight limit of a compartment?",
        "Each compartment carries up to 25 kilograms.",
        "25 kilograms",
    ),
    question(
        "Can I return a parcel with the locker?",
        "Yes, choose Send in the app; a courier collects at 16:00.",
        "collects at 16:00",
    ),
    question(
        "How do I report a damaged parcel?",
        "Take a photo in the app within 24 hours of pick-up.",
        "take a photo",
    ),
    question(
        "Is there an API for our own software?",
        "Yes, a REST interface with webhooks, on every yearly plan.",
        "rest interface",
    ),
    question("How are the codes stored?", "Codes are stored hashed and deleted after pick-up.", "stored hashed"),
    question("Where is the data hosted?", "All data is hosted in Frankfurt and Dublin.", "frankfurt and dublin"),
    question("How long are the logs kept?", "Access logs are kept for 180 days.", "180 days"),
    question("Can I export the access log?", "Yes, as CSV, from the portal under Reports.", "as csv"),
    question("How do I install the unit?", "Bolt it to the wall with the four anchors in the box.", "four anchors"),
    question(
        "How much space does the small unit need?",
        "It needs 120 centimetres of wall and 80 in front of the doors.",
        "120 centimetres",
    ),
    question("Can the unit stand outdoors?", "Only the model with the roof kit may stand outdoors.", "roof kit"),
    question("Which temperatures can it stand?", "It works from minus 20 to plus 45 degrees.", "minus 20"),
    question(
        "How do I update the firmware?",
        "Updates are installed at night by themselves; nothing is to be done.",
        "at night by themselves",
    ),
    question(
        "What do I do when a door is jammed?",
        "Push the door in, then press Release on the screen.",
        "press release",
    ),
    question(
        "How do I reach support by phone?",
        "Call the number on the left side of the unit, from 8 to 18 o'clock.",
        "left side of the unit",
    ),
    question(
        "Can I move the unit to another office?",
        "Yes, release it in the portal under Units and set it up again.",
        "under units",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_is_answered_by_its_own_answer_and_by_no_other() {
        for (idx, question) in questions().iter().enumerate() {
            for (other_idx, other) in questions().iter().enumerate() {
                assert_eq!(
                    question.is_answered_by(other.answer),
                    idx == other_idx,
                    "{} / {}",
                    question.text,
                    other.text
                );
            }
        }
        assert_eq!(questions().len(), 40);
    }

    #[test]
    fn a_question_is_found_alone_and_within_a_longer_prompt() {
        assert_eq!(Question::find("How long is the warranty?").map(|(idx, _)| idx), Some(13));
        assert_eq!(Question::find("Hello!\nHow long is the warranty? Thanks.").map(|(idx, _)| idx), Some(13));
        assert_eq!(Question::find("What is love?"), None);
    }
}
