//! Pictures: lines over time in panes above each other, as PNG. Reports and messages to people draw with it.
//!
//! Text is set in Roboto, which lies in `fonts`: a machine without fonts draws the same picture. Everything is drawn at
//! twice the size and averaged down, for plotters draws hard edges.

use std::sync::LazyLock;

use plotters::backend::{BitMapBackend, DrawingBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, RGBColor, ShapeStyle, TextStyle, register_font};

use super::scale::{Axis, Steps, span_of, time_marks};
use super::{shape, words};

const REGULAR: &[u8] = include_bytes!("fonts/Roboto-Regular.ttf");
const MEDIUM: &[u8] = include_bytes!("fonts/Roboto-Medium.ttf");
const FAMILY: &str = "levibot-roboto";
/// Drawn this many times larger both ways, then four pixels averaged to one.
const OVER: u32 = 2;
/// A line is drawn once at each of these places of the large canvas. Thick paths of plotters end corners in points that
/// reach far beyond the values: a drawdown would seem to be over zero.
const BRUSH: [(i32, i32); 4] = [(0, 0), (0, 1), (1, 0), (1, 1)];
/// Least and most pixels of a side.
const SIDE: std::ops::RangeInclusive<u32> = 120..=4_000;

/// Fonts are known to plotters by name, once for the process.
static FONTS: LazyLock<bool> = LazyLock::new(|| {
    register_font(FAMILY, FontStyle::Normal, REGULAR).is_ok() && register_font(FAMILY, FontStyle::Bold, MEDIUM).is_ok()
});

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// A side is too short or too long.
    #[error("a picture of {width} x {height} pixels cannot be drawn: sides are 120 to 4000 pixels")]
    Size {
        /// Asked for.
        width: u32,
        /// Asked for.
        height: u32,
    },
    /// The text could not be set, or something could not be drawn.
    #[error("drawing failed: {0}")]
    Drawing(String),
    /// The pixels could not be written as PNG.
    #[error("the pixels could not be written as PNG")]
    Encoding(#[from] png::EncodingError),
}

/// What it is looked at on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// Light on dark, as chats often are.
    #[default]
    Dark,
    /// Dark on light, for paper.
    Light,
}

/// What a line means; the theme knows the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// The main line.
    Main,
    /// Something beside it.
    Second,
    /// A third one.
    Third,
    /// A loss.
    Bad,
    /// What is compared with; thin.
    Guide,
}

/// How values of a pane are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// As they are.
    Plain,
    /// Fractions, as percent.
    Percent,
}

/// A line over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it is; shown when a pane has several.
    pub name: String,
    /// Its colour.
    pub ink: Ink,
    /// Seconds since the epoch and value, oldest first. Values that are not finite are left out. May be long: what is drawn
    /// is the lowest and the highest of each column of pixels.
    pub points: Vec<(f64, f64)>,
    /// Whether the ground between the line and zero (the lower end, where zero is not in the pane) is tinted.
    pub is_filled: bool,
}

/// One pane; all panes have the time axis in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Pane {
    /// What is up, with its unit.
    pub label: String,
    /// How high it is, compared with the other panes; over zero.
    pub share: f64,
    /// How values are written.
    pub unit: Unit,
    /// Whether equal ratios are equally far apart, where the values make that sensible.
    pub may_be_log: bool,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// What it shows.
    pub title: String,
    /// One line below, smaller.
    pub subtitle: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Colours.
    pub theme: Theme,
    /// Top to bottom.
    pub panes: Vec<Pane>,
}

struct Colours {
    ground: RGBColor,
    ink: RGBColor,
    soft: RGBColor,
    rule: RGBColor,
    main: RGBColor,
    second: RGBColor,
    third: RGBColor,
    bad: RGBColor,
}

const fn rgb(hex: u32) -> RGBColor {
    let [_, r, g, b] = hex.to_be_bytes();
    RGBColor(r, g, b)
}

const DARK: Colours = Colours {
    ground: rgb(0x14_17_1a),
    ink: rgb(0xe7_e9_eb),
    soft: rgb(0x98_a2_ab),
    rule: rgb(0x2b_31_37),
    main: rgb(0x7a_a7_ff),
    second: rgb(0xf0_b0_56),
    third: rgb(0x4f_d1_c0),
    bad: rgb(0xff_7a_70),
};
const LIGHT: Colours = Colours {
    ground: rgb(0xff_ff_ff),
    ink: rgb(0x1d_21_25),
    soft: rgb(0x5c_66_6f),
    rule: rgb(0xe3_e5_e8),
    main: rgb(0x25_63_eb),
    second: rgb(0xd9_77_06),
    third: rgb(0x0d_94_88),
    bad: rgb(0xb9_1c_1c),
};

impl Theme {
    const fn colours(self) -> &'static Colours {
        match self {
            Self::Dark => &DARK,
            Self::Light => &LIGHT,
        }
    }
}

impl Colours {
    const fn of(&self, ink: Ink) -> RGBColor {
        match ink {
            Ink::Main => self.main,
            Ink::Second => self.second,
            Ink::Third => self.third,
            Ink::Bad => self.bad,
            Ink::Guide => self.soft,
        }
    }
}

/// A box in pixels of the finished picture.
#[derive(Debug, Clone, Copy)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Picture {
    /// The picture as the bytes of a PNG file.
    ///
    /// # Errors
    /// [`PictureError::Size`] for sides outside 120 to 4000 pixels.
    pub fn png(&self) -> Result<Vec<u8>, PictureError> {
        let (width, height) = (self.width, self.height);
        if !(SIDE.contains(&width) && SIDE.contains(&height)) {
            return Err(PictureError::Size { width, height });
        }
        let (wide, high) = ((width * OVER) as usize, (height * OVER) as usize);
        let mut pixels = vec![0; wide * high * 3];
        self.draw(&mut pixels)?;
        encode(&averaged(&pixels, wide), width, height)
    }

    fn draw(&self, pixels: &mut [u8]) -> Result<(), PictureError> {
        let size = (self.width * OVER, self.height * OVER);
        let backend = BitMapBackend::with_buffer_and_format(pixels, size).map_err(drawing)?;
        let mut canvas = Canvas { backend, colours: self.theme.colours() };
        let (width, height) = (f64::from(self.width), f64::from(self.height));
        let ground = canvas.colours.ground;
        canvas.rect(Area { left: 0.0, top: 0.0, right: width, bottom: height }, ground)?;
        canvas.text(&self.title, Words::TITLE, (24.0, 30.0))?;
        canvas.text(&self.subtitle, Words::NOTE, (24.0, 54.0))?;

        let time = Axis::linear(span_of(self.lines().flat_map(|line| line.points.iter().map(|point| point.0))));
        let shares: f64 = self.panes.iter().map(|pane| pane.share).sum();
        let room = height - 76.0 - 34.0 - 30.0 * self.panes.len() as f64;
        let mut top = 76.0;
        for pane in &self.panes {
            let bottom = top + 30.0 + room * pane.share / shares;
            let area = Area { left: 84.0, top: top + 30.0, right: width - 24.0, bottom };
            canvas.pane(pane, area, time)?;
            top = bottom;
        }
        let below = Area { left: 84.0, top, right: width - 24.0, bottom: top };
        canvas.time_words(time, self.time_span(), below)
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.panes.iter().flat_map(|pane| &pane.lines)
    }

    fn time_span(&self) -> (f64, f64) {
        span_of(self.lines().flat_map(|line| line.points.iter().map(|point| point.0)))
    }
}

/// How a text is set: its middle line is where it is put.
#[derive(Clone, Copy)]
struct Words {
    size: f64,
    is_bold: bool,
    is_soft: bool,
    at: HPos,
}

impl Words {
    const TITLE: Self = Self { size: 21.0, is_bold: true, is_soft: false, at: HPos::Left };
    const NOTE: Self = Self { size: 14.0, is_bold: false, is_soft: true, at: HPos::Left };
    const LABEL: Self = Self { size: 14.0, is_bold: true, is_soft: true, at: HPos::Left };
    const LEFT_OF: Self = Self { at: HPos::Right, ..Self::NOTE };
    const BELOW: Self = Self { at: HPos::Center, ..Self::NOTE };
}

struct Canvas<'a> {
    backend: BitMapBackend<'a>,
    colours: &'static Colours,
}

fn drawing(error: impl std::fmt::Display) -> PictureError {
    PictureError::Drawing(error.to_string())
}

/// A place of the finished picture on the large canvas.
#[expect(clippy::cast_possible_truncation, reason = "a canvas is 8000 pixels wide at most, and a cast saturates")]
fn large((x, y): (f64, f64)) -> (i32, i32) {
    ((x * f64::from(OVER)).round() as i32, (y * f64::from(OVER)).round() as i32)
}

impl Canvas<'_> {
    fn rect(&mut self, area: Area, colour: RGBColor) -> Result<(), PictureError> {
        let (from, to) = (large((area.left, area.top)), large((area.right, area.bottom)));
        self.backend.draw_rect(from, to, &ShapeStyle::from(&colour).filled(), true).map_err(drawing)
    }

    fn text(&mut self, text: &str, words: Words, at: (f64, f64)) -> Result<(), PictureError> {
        if !*FONTS {
            return Err(PictureError::Drawing("the font that lies in the program cannot be read".to_owned()));
        }
        let style = if words.is_bold { FontStyle::Bold } else { FontStyle::Normal };
        let colour = if words.is_soft { self.colours.soft } else { self.colours.ink };
        let font = (FAMILY, words.size * f64::from(OVER), style).into_font();
        let style = TextStyle::from(font).color(&colour).pos(Pos::new(words.at, VPos::Center));
        self.backend.draw_text(text, &style, large(at)).map_err(drawing)
    }

    fn stroke(&mut self, from: (f64, f64), to: (f64, f64), style: ShapeStyle) -> Result<(), PictureError> {
        self.backend.draw_path([large(from), large(to)], &style).map_err(drawing)
    }

    fn pane(&mut self, pane: &Pane, area: Area, time: Axis) -> Result<(), PictureError> {
        let values = || pane.lines.iter().flat_map(|line| line.points.iter().map(|point| point.1));
        let span = span_of(values());
        let steps = if pane.may_be_log { Steps::fitting(span) } else { Steps::Linear };
        let axis = Axis::new(steps, span).padded(0.03);
        let label = if axis.is_log() { format!("{}, log scale", pane.label) } else { pane.label.clone() };
        self.text(&label, Words::LABEL, (24.0, area.top - 14.0))?;
        self.key(pane, area)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels of a pane, zero or more")]
        let most = ((area.bottom - area.top) / 45.0).clamp(3.0, 7.0) as usize;
        let marks = axis.marks(most);
        let rule = ShapeStyle::from(&self.colours.rule).stroke_width(OVER);
        for value in &marks.values {
            let y = area.bottom - axis.place(*value) * (area.bottom - area.top);
            self.stroke((area.left, y), (area.right, y), rule)?;
            let text = match pane.unit {
                Unit::Plain => words::mark(*value, marks.apart),
                Unit::Percent => words::percent_mark(*value, marks.apart),
            };
            self.text(&text, Words::LEFT_OF, (area.left - 8.0, y + 1.5))?;
        }
        for line in &pane.lines {
            self.line(line, area, time, axis)?;
        }
        Ok(())
    }

    /// Names of the lines, at the right above the pane, where there are several.
    fn key(&mut self, pane: &Pane, area: Area) -> Result<(), PictureError> {
        let mut right = area.right;
        for line in pane.lines.iter().rev().filter(|_| pane.lines.len() > 1) {
            self.text(&line.name, Words::LEFT_OF, (right, area.top - 14.0))?;
            right -= 7.5 * line.name.chars().count() as f64 + 8.0;
            let (colour, y) = (self.colours.of(line.ink), area.top - 14.0);
            self.rect(Area { left: right - 14.0, top: y - 2.0, right, bottom: y + 2.0 }, colour)?;
            right -= 30.0;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line, area: Area, time: Axis, axis: Axis) -> Result<(), PictureError> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels of a pane, zero or more")]
        let columns = (area.right - area.left) as usize;
        let at = |(x, y): &(f64, f64)| {
            let (x, y) = (time.place(*x), axis.place(*y));
            (area.left + x * (area.right - area.left), area.bottom - y * (area.bottom - area.top))
        };
        let points: Vec<(f64, f64)> = shape::thin(&line.points, columns).iter().map(at).collect();
        let colour = self.colours.of(line.ink);
        if line.is_filled {
            let base = at(&(0.0, 0.0)).1;
            let corners = points.first().zip(points.last()).map(|(first, last)| [(last.0, base), (first.0, base)]);
            let polygon: Vec<(i32, i32)> =
                points.iter().copied().chain(corners.into_iter().flatten()).map(large).collect();
            if polygon.len() > 3 {
                self.backend.fill_polygon(polygon, &colour.mix(0.16)).map_err(drawing)?;
            }
        }
        let style = ShapeStyle::from(&colour);
        if let [only] = points[..] {
            return self.backend.draw_circle(large(only), 4 * OVER, &style.filled(), true).map_err(drawing);
        }
        let brush: &[(i32, i32)] = if line.ink == Ink::Guide { &BRUSH[..2] } else { &BRUSH };
        for (dx, dy) in brush {
            let shifted = points.iter().map(|point| large(*point)).map(|(x, y)| (x + dx, y + dy));
            self.backend.draw_path(shifted, &style).map_err(drawing)?;
        }
        Ok(())
    }

    fn time_words(&mut self, time: Axis, span: (f64, f64), area: Area) -> Result<(), PictureError> {
        if !(span.0.is_finite() && span.1.is_finite()) {
            return Ok(());
        }
        for (secs, text) in time_marks(span, 12) {
            let x = area.left + time.place(secs) * (area.right - area.left);
            let style = ShapeStyle::from(&self.colours.rule).stroke_width(OVER);
            self.stroke((x, area.top), (x, area.top + 5.0), style)?;
            self.text(&text, Words::BELOW, (x.clamp(area.left, area.right - 16.0), area.top + 17.0))?;
        }
        Ok(())
    }
}

/// Every square of pixels as one.
fn averaged(pixels: &[u8], wide: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len() / 4);
    for rows in pixels.chunks_exact(wide * 6) {
        let (upper, lower) = rows.split_at(wide * 3);
        for (upper, lower) in upper.chunks_exact(6).zip(lower.chunks_exact(6)) {
            let (Some((a, b)), Some((c, d))) = (upper.split_at_checked(3), lower.split_at_checked(3)) else { continue };
            let sums = a.iter().zip(b).zip(c.iter().zip(d));
            out.extend(sums.map(|((a, b), (c, d))| {
                u8::try_from((u16::from(*a) + u16::from(*b) + u16::from(*c) + u16::from(*d)) / 4).unwrap_or(u8::MAX)
            }));
        }
    }
    out
}

fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, PictureError> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(out)
}
