//! chromium
