use sea_orm::entity::prelude::*;
use serde::Serialize;

#[derive(Clone, Debug, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "notes")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(column_type = "Text")]
    pub body: String,
    pub word_count: Option<i32>,
    pub created_at: DateTimeUtc,
}

#[derive(Clone, Copy, Debug, DeriveRelation, EnumIter)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The same note, its words counted.
    pub fn counted(self) -> Result<ActiveModel, std::num::TryFromIntError> {
        let words = i32::try_from(self.body.split_whitespace().count())?;
        let mut note = ActiveModel::from(self);
        note.set_if_not_equals(Column::WordCount, Some(words).into());
        Ok(note)
    }
}
